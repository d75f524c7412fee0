"""Find courses as people look for them: by words, term, and open seats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from sqlalchemy import ColumnElement, Select, and_, bindparam, or_, select, tuple_
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
    only_open: bool = False
    """Whether a newcomer must be able to take a seat."""

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions that a course must satisfy."""
        found = []
        if self.words:
            # Rows that were written by hand have no search text; their code and title still stand there.
            found.append(contains_words(coalesce(courses.c.search_text, courses.c.code), self.words))
        if self.term_id is not None:
            found.append(courses.c.term_id == self.term_id)
        if self.only_open:
            has_seat = or_(courses.c.capacity.is_(None), courses.c.seats_taken < courses.c.capacity)
            found.append(
                and_(courses.c.closed_at.is_(None), has_seat, courses.c.waiting == courses.c.passed_over_count)
            )
        return found


def search(wanted: CourseFilter, after: int | None, limit: int) -> Sequence[AnyRow]:
    """Return up to `limit` courses by code and id, behind the course `after` (None: from the first).

    Rows have the columns of a course that pages show, the code of its term as `term`, and its title as `term_title`.
    """
    statement = _COURSES.where(*wanted.conditions())
    if after is not None:
        last = courses.alias("last")
        place = select(last.c.code, last.c.id).where(last.c.id == after).scalar_subquery()
        statement = statement.where(tuple_(courses.c.code, courses.c.id) > place)
    with reading() as session:
        return session.execute(statement.order_by(courses.c.code, courses.c.id).limit(limit)).all()


def of_ids(course_ids: Sequence[int]) -> Sequence[AnyRow]:
    """Return these courses by code, as `search` does; those that do not exist are left out."""
    return autocommit(_OF_IDS, {"ids": list(course_ids)}) if course_ids else []


def seats_of(course_ids: Sequence[int]) -> Sequence[AnyRow]:
    """Return the `id` and the counters of these courses."""
    return autocommit(_SEATS, {"ids": list(course_ids)}) if course_ids else []


def instructors_of(course_id: int) -> list[str]:
    """Return the names of the instructors of a course, in alphabetical order."""
    return [row.name for row in autocommit(_INSTRUCTORS, {"id": course_id})]
