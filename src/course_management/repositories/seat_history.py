"""Read from the ledger how many seats were taken and how many students were waiting over time, for a plot.

The database adds up the lines of each interval, so that a plot has a bounded number of points whatever the number of
lines (docs/decisions/0029-plots-are-added-up-by-the-database.md has the figures). A deleted course is no part of its
term any more.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    String,
    bindparam,
    case,
    cast,
    extract,
    func,
    literal,
    select,
    true,
)

from ..database import autocommit
from ..database.types import Id
from ..models import ENROLLED, WAITLISTED, courses, events

INTERVALS = 120
"""The most intervals of a plot."""
_OWNER = bindparam("owner", type_=Id)
_SINCE, _UNTIL = bindparam("since", type_=BigInteger), bindparam("until", type_=BigInteger)


class Counts(NamedTuple):
    """How many students were enrolled and waiting at a time, the end of an interval."""

    at: datetime
    enrolled: int
    waiting: int


def of_course(course_id: int, since: datetime | None, until: datetime) -> list[Counts]:
    """Return the counts of a course from `since` (None: from its first line) to `until`, at most `INTERVALS` + 1.

    The first is the count at the beginning. Empty if there are no lines.
    """
    return _counts(_OF_COURSE, course_id, since, until)


def of_term(term_id: int, since: datetime | None, until: datetime) -> list[Counts]:
    """Return the same for all courses of a term together."""
    return _counts(_OF_TERM, term_id, since, until)


def _counts(statement: Select[Any], owner_id: int, since: datetime | None, until: datetime) -> list[Counts]:
    first = None if since is None else int(since.timestamp())
    last = int(until.timestamp())
    rows = autocommit(statement, {"owner": owner_id, "since": first, "until": last})
    if not rows:
        return []
    start = rows[0].start
    width = max(last - start, 1) / INTERVALS
    enrolled = waiting = 0
    counts: list[Counts] = []
    if rows[0].number >= 0:
        counts.append(Counts(_at(start), 0, 0))
    for row in rows:
        enrolled, waiting = enrolled + int(row.enrolled), waiting + int(row.waiting)
        counts.append(Counts(_at(start + (row.number + 1) * width), enrolled, waiting))
    if counts[-1].at < _at(last):
        counts.append(Counts(_at(last), enrolled, waiting))
    return counts


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _change(status: str) -> ColumnElement[int]:
    is_status = literal(status, String)
    return case((events.c.to_status == is_status, 1), else_=0) - case((events.c.from_status == is_status, 1), else_=0)


def _summed(condition: ColumnElement[bool]) -> Select[Any]:
    """Add up the lines of each interval: its `number`, -1 for what was before the first one, and the `start` of all."""
    # Named twice, and so read once: both databases store such a common table expression for the statement.
    lines = (
        select(
            cast(extract("epoch", events.c.at), BigInteger).label("second"),
            _change(ENROLLED).label("enrolled"),
            _change(WAITLISTED).label("waiting"),
        )
        .where(condition, events.c.from_status.is_distinct_from(events.c.to_status))
        .cte("lines")
    )
    first = select(func.min(lines.c.second)).scalar_subquery()
    beginning = select(func.coalesce(_SINCE, first).label("start")).cte("beginning")
    span = case((beginning.c.start < _UNTIL, _UNTIL - beginning.c.start), else_=1)
    number = (lines.c.second - beginning.c.start) * INTERVALS // span
    numbered = (
        select(
            case(
                (lines.c.second < beginning.c.start, -1),
                (number >= INTERVALS, INTERVALS - 1),
                else_=number,
            ).label("number"),
            lines.c.enrolled,
            lines.c.waiting,
            beginning.c.start,
        )
        .join_from(lines, beginning, true())
        .subquery("numbered")
    )
    return (
        select(
            numbered.c.number,
            numbered.c.start,
            func.sum(numbered.c.enrolled).label("enrolled"),
            func.sum(numbered.c.waiting).label("waiting"),
        )
        .group_by(numbered.c.number, numbered.c.start)
        .order_by(numbered.c.number)
    )


_OF_COURSE = _summed(events.c.course_id == _OWNER)
_OF_TERM = _summed(events.c.course_id.in_(select(courses.c.id).where(courses.c.term_id == _OWNER)))
