"""The past roster and waitlist of a course, read from the ledger.

A student's status in a course at a time is that of the last line of the pair with this time or an earlier one, ordered
by time, then id; a line that changed the credits only does not count. A page goes from student to student (for the
waitlist, from one joining to the next), and looks up the last line of each in an index. So its cost does not depend on
the size of the ledger (docs/decisions/0022-past-rosters-are-in-order-of-time.md has the figures).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    String,
    bindparam,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    true,
    tuple_,
    type_coerce,
    union_all,
)

from ..database import AnyRow, autocommit, db
from ..database.types import Id, UtcDateTime
from ..errors import CourseNotFound
from ..models import ENROLLED, WAITLISTED, courses, events, students

LOOK = 5_000
"""Students one page skips at most because they were not in the course; then it ends early, and `next` continues."""
_BEFORE_ALL_TIMES = datetime(1, 1, 1, tzinfo=UTC)

_COURSE, _AFTER, _LIMIT = bindparam("course", type_=Id), bindparam("after", type_=Id), bindparam("limit", type_=Integer)
_AS_OF, _LOOK = bindparam("as_of", type_=UtcDateTime), bindparam("look", type_=Integer)
_SHOWN, _BEFORE_ALL = bindparam("shown", type_=BigInteger), bindparam("before_all", type_=UtcDateTime)
_NO_ID, _NO_STATUS = cast(null(), BigInteger), cast(null(), String)


class PastPage(NamedTuple):
    """Rows of `student_id, name, status, status_since, position, credits` (in hundredths), and an empty
    `passed_over_at`.

    `following` is where the next page starts: after which key, and how many students the pages so far have shown; None
    at the end.
    """

    rows: Sequence[AnyRow]
    following: tuple[int, int] | None


def past_roster(course_id: int, status: str, as_of: datetime, after: tuple[int, int], limit: int) -> PastPage:
    """Return up to `limit` students who were `enrolled` (by student id) or `waitlisted` (by position) at `as_of`.

    `after` is `following` of the previous page, (0, 0) for the first one. A page can have fewer rows although others
    follow, after more than `LOOK` successive students who were not in the course. `name` is null for a student who was
    deleted since. Raises `CourseNotFound` if neither the course nor a line of it exists.
    """
    key, shown = after
    values = {"course": course_id, "as_of": as_of, "after": key, "limit": limit + 1, "look": LOOK}
    if status == WAITLISTED:
        values |= {"shown": shown, "before_all": _BEFORE_ALL_TIMES}
        rows = autocommit(_WAITLISTED[db.engine.dialect.name], values)
    else:
        rows = autocommit(_ENROLLED, values)
    if not rows:
        raise CourseNotFound
    page = [row for row in rows if row.status is not None][:limit]
    last = rows[limit - 1].key if len(rows) > limit else rows[-1].key if rows[-1].more else None
    return PastPage(page, None if last is None else (last, shown + len(page) if status == WAITLISTED else 0))


def past_roster_by_name(
    course_id: int, status: str, as_of: datetime, after: tuple[str, int], limit: int
) -> Sequence[AnyRow]:
    """Return up to `limit` rows of the same, by name in the order of code points and by id, from behind `after`.

    Students who were deleted since have no name and come first. The whole roster is read for each page: no index has
    the names of the past. Raises `CourseNotFound`.
    """
    roster = whole_past_roster(course_id, status, as_of, by_name=True)
    return [row for row in roster if _name_and_id(row) > after][:limit]


def whole_past_roster(course_id: int, status: str, as_of: datetime, *, by_name: bool) -> Sequence[AnyRow]:
    """Return all rows of the same. Raises `CourseNotFound`."""
    roster: list[AnyRow] = []
    following: tuple[int, int] | None = (0, 0)
    while following is not None:
        page = past_roster(course_id, status, as_of, following, LOOK)
        roster += page.rows
        following = page.following
    return sorted(roster, key=_name_and_id) if by_name else roster


def _name_and_id(row: AnyRow) -> tuple[str, int]:
    return row.name or "", row.student_id


def _last_line(student: ColumnElement[int], *, enrolled: bool = False) -> ColumnElement[int]:
    """Select the id of a student's last line in the course at the time; with `enrolled`, null otherwise."""
    mine = events.alias("mine")
    line = case((mine.c.to_status == literal(ENROLLED, String), mine.c.id)) if enrolled else mine.c.id
    return (
        select(line)
        .where(
            mine.c.course_id == _COURSE, mine.c.student_id == student, mine.c.at <= _AS_OF, _changes_the_status(mine)
        )
        .order_by(mine.c.at.desc(), mine.c.id.desc())
        .limit(literal(1, Integer))
        .scalar_subquery()
    )


def _last_credits(student: ColumnElement[int]) -> ColumnElement[Any]:
    """Select the credits of a student's last line at the time, also of one that changed the credits only."""
    last = events.alias("last")
    return (
        select(type_coerce(last.c.credits, Integer))
        .where(last.c.course_id == _COURSE, last.c.student_id == student, last.c.at <= _AS_OF)
        .order_by(last.c.at.desc(), last.c.id.desc())
        .limit(literal(1, Integer))
        .scalar_subquery()
    )


def _changes_the_status(line: FromClause) -> ColumnElement[bool]:
    return line.c.from_status.is_distinct_from(line.c.to_status)


def _next_student(after: ColumnElement[int]) -> ColumnElement[int]:
    other = events.alias("other")
    return (
        select(other.c.student_id)
        .where(other.c.course_id == _COURSE, other.c.student_id > after)
        .order_by(other.c.student_id)
        .limit(literal(1, Integer))
        .scalar_subquery()
    )


def _walk() -> CTE:
    """Go from one student with lines in the course to the next: `student_id`, and `line` if enrolled at the time.

    The recursion ends when enough students are found or examined; `next_id` is the next one. A LIMIT outside would
    not stop either database from reading more.
    """
    start = select(
        _next_student(_AFTER).label("next_id"),
        _NO_ID.label("student_id"),
        _NO_ID.label("line"),
        literal(0, Integer).label("found"),
        literal(0, Integer).label("looked"),
    )
    walk = start.cte("walk", recursive=True)
    found = walk.c.found + case((walk.c.line.is_(None), literal(0, Integer)), else_=literal(1, Integer))
    step = select(
        _next_student(walk.c.next_id),
        walk.c.next_id,
        _last_line(walk.c.next_id, enrolled=True),
        found,
        walk.c.looked + literal(1, Integer),
    ).where(walk.c.next_id.is_not(None), found < _LIMIT, walk.c.looked < _LOOK)
    return walk.union_all(step)


def _enrolled() -> Select[Any]:
    walk = _walk()
    more = (walk.c.looked >= _LOOK) & walk.c.next_id.is_not(None)
    page = (
        select(walk.c.student_id, walk.c.line, more.label("more"))
        .where(or_(walk.c.line.is_not(None), more))
        .subquery("page")
    )
    then = events.alias("then")
    return _of_course(
        page.outerjoin(then, then.c.id == page.c.line),
        {
            "student_id": page.c.student_id,
            "status": then.c.to_status,
            "status_since": then.c.at,
            "position": _NO_ID,
            "credits": _last_credits(page.c.student_id),
            "key": page.c.student_id,
            "more": page.c.more,
        },
        page.c.student_id,
    )


def _waitlisted(backend: str) -> Select[Any]:
    """Select students by the line with which they joined the waitlist, if it is still their last one at the time.

    PostgreSQL recognizes that the rows are in order. SQLite would sort them again, and read all of them first; it reads
    a limited subquery in the order of that subquery.
    """
    place = select(events.c.at).where(events.c.id == _AFTER).scalar_subquery()

    def joined(name: str) -> Select[Any]:
        line = events.alias(name)
        return (
            select(line.c.id, line.c.student_id, line.c.at)
            .where(
                line.c.course_id == _COURSE,
                line.c.to_status == literal(WAITLISTED, String),
                line.c.at <= _AS_OF,
                _changes_the_status(line),
                tuple_(line.c.at, line.c.id) > tuple_(func.coalesce(place, _BEFORE_ALL), _AFTER),
            )
            .order_by(line.c.at, line.c.id)
        )

    looked = joined("joining").limit(_LOOK).subquery("looked")
    waiting = (
        select(looked.c.id, looked.c.student_id, looked.c.at, literal(WAITLISTED, String).label("status"))
        .where(looked.c.id == _last_line(looked.c.student_id))
        .limit(_LIMIT)
    )
    if backend == "postgresql":
        waiting = waiting.order_by(looked.c.at, looked.c.id)
    end = joined("passing").offset(_LOOK - literal(1, Integer)).limit(literal(1, Integer)).subquery("end_of_look")
    # The second part is read only if the first one does not fill the page.
    passed = select(end.c.id, end.c.student_id, end.c.at, _NO_STATUS)
    both = union_all(select(waiting.subquery("waiting")), passed).subquery("both")
    page = select(both).limit(_LIMIT).subquery("page")
    return _of_course(
        page,
        {
            "student_id": page.c.student_id,
            "status": page.c.status,
            "status_since": page.c.at,
            "position": _SHOWN + func.row_number().over(order_by=(page.c.at, page.c.id)),
            "credits": cast(null(), Integer),
            "key": page.c.id,
            "more": page.c.status.is_(None) & page.c.id.is_not(None),
        },
        page.c.at,
        page.c.id,
    )


def _of_course(page: Any, columns: dict[str, Any], *order: ColumnElement[Any]) -> Select[Any]:
    """Select the page, or one row without a student if it is empty; no row means that the course is unknown.

    A course is known if it exists or has lines in the ledger, which remain after it is deleted.
    """
    lines, always = events.alias("lines"), select(literal(1, Integer).label("one")).subquery("always")
    known = or_(
        select(courses.c.id).where(courses.c.id == _COURSE).exists(),
        select(lines.c.id).where(lines.c.course_id == _COURSE).exists(),
    )
    return (
        select(
            *(column.label(name) for name, column in columns.items()),
            students.c.name,
            cast(null(), UtcDateTime).label("passed_over_at"),
        )
        .select_from(always.outerjoin(page, true()).outerjoin(students, students.c.id == columns["student_id"]))
        .where(known)
        .order_by(*order)
    )


_ENROLLED = _enrolled()
_WAITLISTED = {backend: _waitlisted(backend) for backend in ("postgresql", "sqlite")}
