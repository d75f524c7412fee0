"""Find students' names by their ids."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import bindparam, select

from ..database import autocommit
from ..database.types import IdList, among
from ..models import students

_NAMES = select(students.c.id, students.c.name).where(among(students.c.id, bindparam("ids", type_=IdList)))


def names_of(student_ids: Iterable[int]) -> dict[int, str]:
    """Return the names of these students by their ids; those that do not exist are left out."""
    wanted = sorted(set(student_ids))
    return {row.id: row.name for row in autocommit(_NAMES, {"ids": wanted})} if wanted else {}
