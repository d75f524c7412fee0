"""The roster or waitlist of one course as CSV."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from ..database import AnyRow
from ..schemas.fields import credits_of
from . import kinds
from .exporting import cells, write_rows

COLUMNS = (*kinds.STUDENT_KIND.fields, "student_id", "status", "status_since", "position", "credits", "passed_over")
"""Those of a file of students, then what the roster says of the student."""


def roster_file(rows: Sequence[AnyRow], contacts: Mapping[int, AnyRow]) -> bytes:
    """Return rows of a roster as CSV in UTF-8, safe for spreadsheets. `contacts` has the students who still exist."""
    text = io.StringIO(newline="")
    write_rows(text, COLUMNS, (_cells(row, contacts.get(row.student_id)) for row in rows))
    return text.getvalue().encode()


def _cells(row: AnyRow, contact: AnyRow | None) -> list[str]:
    student = {
        "external_id": contact and contact.external_id,
        "name": row.name,
        "email": contact and contact.email,
    }
    passed_over = row.passed_over_for if row.passed_over_at else None
    place = (row.student_id, row.status, row.status_since, row.position, credits_of(row.credits), passed_over)
    return cells([*(student[name] for name in kinds.STUDENT_KIND.fields), *place])
