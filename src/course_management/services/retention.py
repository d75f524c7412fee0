"""Delete what an old term no longer needs: data that served registration. The academic record stays.

Deleted: enrollments that were dropped or still on a waitlist, plans, permissions, registration windows, and credit
limits. Emptied: reasons, also in the ledger, and what the ledger of rules says about those permissions and limits.
Kept: the term and its courses, enrolled and withdrawn students, completions, and every line of the ledgers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, or_, select, update

from ..context import NamedActor
from ..database import Base, retried, run, snapshot, transaction
from ..database.types import utcnow
from ..models import (
    ERASED,
    UNENROLLED,
    WAITLISTED,
    courses,
    enrollments,
    events,
    permissions,
    registration_windows,
    rule_events,
    student_terms,
    terms,
)
from .enrollment.statements import LOCK_COURSES

ACTOR = NamedActor("retention")
DELETED_PER_COURSE = ("permissions", "planned_courses")
"""Tables whose rows about a course are deleted."""


class NotEnded(Exception):
    """The term has not ended, so nothing was deleted. The text is a sentence."""


def ended_before(day: date) -> list[str]:
    """Return the codes of the terms that ended before a day, the oldest first."""
    with snapshot() as connection:
        ended = select(terms.c.code).where(terms.c.ends_on < day).order_by(terms.c.ends_on, terms.c.code)
        return list(connection.scalars(ended))


def count(term_id: int) -> Mapping[str, int]:
    """Count what `purge` would delete and empty, without a change."""
    counts: Counter[str] = Counter()
    with snapshot() as connection:
        for what, table, condition in [*_of_courses(_courses_of(term_id)), *_of_term(term_id)]:
            counts[what] += connection.execute(select(func.count()).select_from(table).where(condition)).scalar_one()
    return counts


def purge(term_id: int, today: date, progress: Callable[[int], None]) -> Mapping[str, int]:
    """Delete and empty, one course per transaction; to continue after an interruption, call it again.

    Returns the numbers of rows. `progress` is called with the number of courses that are done. Raises `NotEnded`.
    """
    with snapshot() as connection:
        ends_on = connection.execute(select(terms.c.ends_on).where(terms.c.id == term_id)).scalar_one()
        course_ids = list(connection.scalars(select(courses.c.id).where(_courses_of(term_id)).order_by(courses.c.id)))
    if ends_on >= today:
        raise NotEnded(f"The term ends on {ends_on}. Only a term that has ended can be purged.")
    counts: Counter[str] = Counter()
    for done, course_id in enumerate(course_ids, 1):
        counts += _purge_course(course_id)
        progress(done)
    return counts + _purge_term(term_id)


@retried(repeatable=True)
def _purge_course(course_id: int) -> Counter[str]:
    with transaction() as connection:
        run(connection, LOCK_COURSES, {"course_ids": [course_id]})
        # The ledger keeps who waited until the end; then the rows are those of students who left.
        connection.execute(
            update(enrollments)
            .where(enrollments.c.course_id == course_id, enrollments.c.status == WAITLISTED)
            .values(
                status=UNENROLLED,
                previous_status=WAITLISTED,
                status_since=utcnow(),
                queue_number=None,
                passed_over_at=None,
                revision=enrollments.c.revision + 1,
                actor=ACTOR.actor,
                request_id=None,
                reason=None,
            )
        )
        return _apply(connection, _of_courses(courses.c.id == course_id))


@retried(repeatable=True)
def _purge_term(term_id: int) -> Counter[str]:
    with transaction() as connection:
        return _apply(connection, _of_term(term_id))


def _apply(connection: Connection, steps: Iterator[tuple[str, Table, ColumnElement[bool]]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for what, table, condition in steps:
        statement = delete(table) if what not in _EMPTIED else update(table).values(_EMPTIED[what])
        counts[what] += connection.execute(statement.where(condition)).rowcount
    return counts


_EMPTIED: Mapping[str, Mapping[str, Any]] = {
    "reasons of enrollments emptied": {"reason": None},
    "reasons in the ledger erased": {"reason": ERASED},
    "facts in the ledger of rules emptied": {"facts": {}},
}


def _courses_of(term_id: int) -> ColumnElement[bool]:
    return courses.c.term_id == term_id


def _of_courses(condition: ColumnElement[bool]) -> Iterator[tuple[str, Table, ColumnElement[bool]]]:
    """Yield what is done for courses, in order: the words, the table, the rows."""
    of_courses = select(courses.c.id).where(condition)
    left = or_(enrollments.c.status == UNENROLLED, enrollments.c.status == WAITLISTED)
    yield "enrollments deleted", enrollments, and_(enrollments.c.course_id.in_(of_courses), left)
    yield (
        "reasons of enrollments emptied",
        enrollments,
        and_(enrollments.c.course_id.in_(of_courses), enrollments.c.reason.is_not(None), ~left),
    )
    yield (
        "reasons in the ledger erased",
        events,
        and_(events.c.course_id.in_(of_courses), events.c.reason.is_not(None), events.c.reason != ERASED),
    )
    granted = select(permissions.c.id).where(permissions.c.course_id.in_(of_courses))
    yield (
        "facts in the ledger of rules emptied",
        rule_events,
        and_(rule_events.c.subject == "permission", rule_events.c.subject_id.in_(granted)),
    )
    for name in DELETED_PER_COURSE:
        table = Base.metadata.tables[name]
        yield f"{name.replace('_', ' ')} deleted", table, table.c.course_id.in_(of_courses)


def _of_term(term_id: int) -> Iterator[tuple[str, Table, ColumnElement[bool]]]:
    """Yield what is done for the term itself."""
    limits = and_(rule_events.c.subject == "limit", rule_events.c.subject_id == term_id)
    yield "facts in the ledger of rules emptied", rule_events, limits
    for table in (student_terms, registration_windows):
        yield f"{table.name.replace('_', ' ')} deleted", table, table.c.term_id == term_id
