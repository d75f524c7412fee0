"""A plain situation in which nothing stands against a course: a test shows only what differs from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from course_management.services.enrollment.rules import reasons
from course_management.services.enrollment.situation import (
    CatalogEntry,
    Course,
    Enrollment,
    Meeting,
    Situation,
    Term,
    Window,
)

NOW = datetime(2026, 8, 20, 10, tzinfo=UTC)
DAY = timedelta(days=1)
OPEN = Window(opens_at=NOW - DAY, closes_at=NOW + DAY)
TERM = Term(
    id=1,
    code="2026FA",
    starts_on=date(2026, 9, 1),
    ends_at=datetime(2026, 12, 20, 5, tzinfo=UTC),
    promote_until=NOW + 20 * DAY,
    windows=[OPEN],
)
EARLIER = replace(TERM, id=2, code="2026SU", starts_on=date(2026, 6, 1))
ENTRY = CatalogEntry(id=40)
COURSE = Course(id=5, term=TERM, catalog_id=40, entry=ENTRY)
OTHER = Course(id=6, term=TERM)
STUDENT = Situation(now=NOW, student_id=7, group_ids=frozenset({1}))


def held(number: int, status: str = "enrolled", **values: Any) -> Enrollment:
    """A course of the term in which the student is."""
    return Enrollment(**{"id": number, "status": status, "term": TERM, **values})


def meeting(weekday: int, starts: str, ends: str, first: str = "2026-09-01", last: str = "2026-12-18") -> Meeting:
    """A meeting, with times as on the clock and dates as in the calendar."""
    starts_minute, ends_minute = (int(each[:2]) * 60 + int(each[3:]) for each in (starts, ends))
    return Meeting(
        weekday=weekday,
        starts_minute=starts_minute,
        ends_minute=ends_minute,
        starts_on=date.fromisoformat(first),
        ends_on=date.fromisoformat(last),
    )


def facts_by_code(course: Course = COURSE, situation: Situation = STUDENT, *others: Course) -> dict[str, Any]:
    """Return the facts by code for a course of a request, to which `others` belong too."""
    asked = replace(situation, courses={each.id: each for each in (course, *others)})
    return {reason.code: dict(reason.facts) for reason in reasons(course, asked)}
