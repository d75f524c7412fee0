"""Moodle's flat file for enrollments: no header; an operation, a role, a user and a course in each row.

`add, student, s1, CS101` and `del, student, s1, CS101`; two columns with times may follow.
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import kinds
from ..records import Record
from .base import Files, Format, shape

OPERATIONS = {"add": False, "del": True}
COLUMNS = ("operation", "role", "user", "course", "starttime", "endtime")
FEWEST = 4
STAFF = {"teacher", "editingteacher"}


def _records(files: Files) -> Iterator[Record]:
    for row, reader in files.rows("flatfile"):
        operation, role = row.get("operation").casefold(), row.get("role").casefold()
        if operation not in OPERATIONS:
            reader.refuse(row, "operation", "validation_failed", f"{operation!r} must be add or del.")
        elif role == "student":
            texts = {"status": "unenrolled" if OPERATIONS[operation] else "enrolled"}
            if record := reader.record(kinds.ENROLLMENT_KIND, row, {"student": "user", "course": "course"}, texts):
                yield record
        elif role in STAFF:
            columns = {"person": "user", "course": "course"}
            if record := reader.record(kinds.INSTRUCTOR_KIND, row, columns, is_removed=OPERATIONS[operation]):
                yield record
        else:
            reader.warn(row, "role", "role_ignored", f"Rows of the role {role!r} are left out.")


MOODLE = Format("Moodle flat file", (shape("flatfile", "operation role user course"),), _records)
