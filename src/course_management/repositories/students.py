"""Questions about students."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Integer, bindparam, select

from ..database import AnyRow, autocommit
from ..errors import StudentNotFound
from ..models import Id, students

_ONE = select(students).where(students.c.id == bindparam("id", type_=Id))
_PAGE = (
    select(students)
    .where(students.c.id > bindparam("after", type_=Id))
    .order_by(students.c.id)
    .limit(bindparam("limit", type_=Integer))
)


def one(student_id: int) -> AnyRow:
    """The row of a student. Raises `StudentNotFound`."""
    for row in autocommit(_ONE, {"id": student_id}):
        return row
    raise StudentNotFound


def page(after: int, limit: int) -> Sequence[AnyRow]:
    """Up to `limit` students whose id is above `after`, by id."""
    return autocommit(_PAGE, {"after": after, "limit": limit})
