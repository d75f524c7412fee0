"""Questions about students."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Integer, String, bindparam, select

from ..database import AnyRow, autocommit
from ..database.types import Id
from ..errors import StudentNotFound
from ..models import students

_SHOWN = [column for column in students.c if column is not students.c.search_text]
_ONE = select(*_SHOWN).where(students.c.id == bindparam("id", type_=Id))
_PAGE = (
    select(*_SHOWN)
    .where(students.c.id > bindparam("after", type_=Id))
    .order_by(students.c.id)
    .limit(bindparam("limit", type_=Integer))
)
_PAGE_BY_EMAIL = _PAGE.where(students.c.email == bindparam("email", type_=String))


def one(student_id: int) -> AnyRow:
    """The row of a student. Raises `StudentNotFound`."""
    for row in autocommit(_ONE, {"id": student_id}):
        return row
    raise StudentNotFound


def page(after: int, limit: int, email: str | None = None) -> Sequence[AnyRow]:
    """Up to `limit` students whose id is above `after`, by id; with `email`, only the one who has it."""
    if email is None:
        return autocommit(_PAGE, {"after": after, "limit": limit})
    return autocommit(_PAGE_BY_EMAIL, {"after": after, "limit": limit, "email": email})


def id_of(email: str) -> int | None:
    """The id of the student with this address, or None."""
    return next((row.id for row in page(0, 1, email)), None)
