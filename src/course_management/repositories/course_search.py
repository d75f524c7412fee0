"""Find courses as people look for them: by words, term, and open seats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    FromClause,
    Select,
    and_,
    bindparam,
    case,
    cast,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.sql.functions import coalesce

from ..database import AnyRow, autocommit, reading
from ..database.types import Id, IdList, among
from ..models import course_instructors, courses, people, terms
from ..models.search import contains_words

_SHOWN = (
    courses.c.id,
    courses.c.code,
    courses.c.title,
    courses.c.component,
    courses.c.credits,
    courses.c.credits_max,
    courses.c.capacity,
    courses.c.seats_taken,
    courses.c.waitlist_capacity,
    courses.c.waiting,
    courses.c.passed_over_count,
    courses.c.closed_at,
    courses.c.permission_required,
    courses.c.catalog_id,
    courses.c.term_id,
    terms.c.code.label("term"),
    terms.c.title.label("term_title"),
)
_COURSES: Select[tuple[object, ...]] = select(*_SHOWN).select_from(
    courses.outerjoin(terms, terms.c.id == courses.c.term_id)
)
_OF_IDS = _COURSES.where(among(courses.c.id, bindparam("ids", type_=IdList))).order_by(courses.c.code, courses.c.id)
_SEATS = select(
    courses.c.id,
    courses.c.capacity,
    courses.c.seats_taken,
    courses.c.waitlist_capacity,
    courses.c.waiting,
    courses.c.passed_over_count,
    courses.c.closed_at,
).where(among(courses.c.id, bindparam("ids", type_=IdList)))
_INSTRUCTORS = (
    select(people.c.name)
    .join(course_instructors, course_instructors.c.person_id == people.c.id)
    .where(course_instructors.c.course_id == bindparam("id", type_=Id))
    .order_by(people.c.name)
)


@dataclass(frozen=True, slots=True)
class CourseFilter:
    """What somebody looks for. `words` are those of code and title; `term_id` None: courses of any term."""

    words: str = ""
    _: KW_ONLY
    term_id: int | None = None
    catalog_id: int | None = None
    only_open: bool = False
    """Whether a newcomer must be able to take a seat."""
    only_full: bool = False
    """Whether every seat must be taken."""
    only_nearly_full: bool = False
    """Whether more than 90 % of the seats must be taken."""
    only_waiting: bool = False
    """Whether students must be on the waitlist."""

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions that a course must satisfy."""
        conditions: list[ColumnElement[bool]] = []
        if self.words:
            # Rows that were written by hand have no search text; their code and title still stand there.
            conditions.append(contains_words(coalesce(courses.c.search_text, courses.c.code), self.words))
        if self.term_id is not None:
            conditions.append(courses.c.term_id == self.term_id)
        if self.catalog_id is not None:
            conditions.append(courses.c.catalog_id == self.catalog_id)
        if self.only_open:
            has_seat = or_(courses.c.capacity.is_(None), courses.c.seats_taken < courses.c.capacity)
            conditions.append(
                and_(courses.c.closed_at.is_(None), has_seat, courses.c.waiting == courses.c.passed_over_count)
            )
        if self.only_full:
            conditions.append(courses.c.seats_taken >= courses.c.capacity)
        if self.only_nearly_full:
            conditions.append(cast(courses.c.seats_taken, BigInteger) * 10 > cast(courses.c.capacity, BigInteger) * 9)
        if self.only_waiting:
            conditions.append(courses.c.waiting > 0)
        return conditions


def _share_taken(course: FromClause) -> ColumnElement[float]:
    """Return the share of the seats that are taken: 1 without a seat, 0 without a limit."""
    share = cast(course.c.seats_taken, Float) / cast(func.nullif(course.c.capacity, 0), Float)
    return case((course.c.capacity.is_(None), 0.0), else_=coalesce(share, 1.0))


ORDERS: Mapping[str, Callable[[FromClause], list[ColumnElement[Any]]]] = {
    "code": lambda course: [course.c.code, course.c.id],
    "taken": lambda course: [-_share_taken(course), course.c.code, course.c.id],
    "waiting": lambda course: [-course.c.waiting, course.c.code, course.c.id],
}
"""What courses are sorted by: the share of seats taken and the number of waiting students from the largest."""


def search(course_filter: CourseFilter, after: int | None, limit: int, order: str = "code") -> Sequence[AnyRow]:
    """Return up to `limit` courses in one of the `ORDERS`, behind the course `after` (None: from the first).

    Rows have the columns of a course that pages show, the code of its term as `term`, and its title as `term_title`.
    """
    key = ORDERS[order]
    statement = _COURSES.where(*course_filter.conditions())
    if after is not None:
        last = courses.alias("last")
        place = select(*key(last)).where(last.c.id == after).scalar_subquery()
        statement = statement.where(tuple_(*key(courses)) > place)
    with reading() as session:
        return session.execute(statement.order_by(*key(courses)).limit(limit)).all()


def courses_by_id(course_ids: Sequence[int]) -> Sequence[AnyRow]:
    """Return these courses by code, as `search` does; those that do not exist are left out."""
    return autocommit(_OF_IDS, {"ids": list(course_ids)}) if course_ids else []


def seats_of(course_ids: Sequence[int]) -> Sequence[AnyRow]:
    """Return the `id` and the counters of these courses."""
    return autocommit(_SEATS, {"ids": list(course_ids)}) if course_ids else []


def instructors_of(course_id: int) -> list[str]:
    """Return the names of the instructors of a course, in alphabetical order."""
    return [row.name for row in autocommit(_INSTRUCTORS, {"id": course_id})]
