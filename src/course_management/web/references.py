"""Codes that people write where the API has ids: in any case, and with spaces around them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from marshmallow import ValidationError

from ..database import AnyRow
from ..repositories import course_lookup
from .texts import _


@dataclass(frozen=True, slots=True)
class Reference:
    """A field with an id, for which a form has a code."""

    id_of: Callable[[str], int]
    """Raises `ValidationError` for a code that nothing has."""
    codes_of: Callable[[Collection[int]], Mapping[int, str]]
    """Returns the codes of several ids by one query."""


def entry_named(code: str) -> int:
    """Return the id of the catalog entry with a code. Raises `ValidationError`."""
    rows = course_lookup.entries_named(code)
    if len(rows) != 1:
        raise ValidationError(_("There is no catalog entry with the code %(code)s.", code=code))
    return int(rows[0].id)


def course_named(code: str, term_id: int | None) -> AnyRow:
    """Return the course with a code, of a term if it is given: `id, code, term_id`. Raises `ValidationError`."""
    rows = [row for row in course_lookup.courses_named(code) if term_id is None or row.term_id == term_id]
    if len(rows) > 1:
        raise ValidationError(_("Several courses have the code %(code)s. Choose the term.", code=code))
    if not rows:
        raise ValidationError(
            _("There is no course with the code %(code)s.", code=code)
            if term_id is None
            else _("No course of this term has the code %(code)s.", code=code)
        )
    return rows[0]


CATALOG_ENTRY = Reference(entry_named, course_lookup.codes_of_entries)
