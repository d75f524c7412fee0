"""Read the names of students, and how to reach them, by their ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import bindparam, select

from ..database import AnyRow, autocommit
from ..database.types import Id, IdList, among
from ..models import students

_NAME = select(students.c.name).where(students.c.id == bindparam("id", type_=Id))
_IS_ONE_OF = among(students.c.id, bindparam("ids", type_=IdList))
_NAMES = select(students.c.id, students.c.name).where(_IS_ONE_OF)
_CONTACTS = select(students.c.id, students.c.email, students.c.external_id).where(_IS_ONE_OF)


def student_name(student_id: int) -> str | None:
    """Return the name of a student, or None."""
    return next((row.name for row in autocommit(_NAME, {"id": student_id})), None)


def names_by_student(student_ids: Iterable[int]) -> dict[int, str]:
    """Return the names of these students by their ids; those that do not exist are left out."""
    wanted = sorted(set(student_ids))
    return {row.id: row.name for row in autocommit(_NAMES, {"ids": wanted})} if wanted else {}


def students_by_name(student_ids: Sequence[int]) -> Sequence[AnyRow]:
    """Return the `id` and `name` of these students, by name."""
    rows = autocommit(_NAMES, {"ids": list(student_ids)}) if student_ids else []
    return sorted(rows, key=lambda row: (row.name, row.id))


def contacts_of(student_ids: Sequence[int]) -> Mapping[int, AnyRow]:
    """Return `email` and `external_id` of students, by id."""
    return {row.id: row for row in autocommit(_CONTACTS, {"ids": student_ids})}
