"""Build the values of a situation from the rows of the questions, as JSON has them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, NamedTuple

from ...models import ENROLLED
from .situation import (
    CatalogEntry,
    Completion,
    Course,
    Enrollment,
    Hold,
    Meeting,
    Prerequisite,
    Restriction,
    Situation,
    Term,
    Window,
)

Rows = Sequence[Sequence[Any]]


class EnrollmentRow(NamedTuple):
    """A row of the question `enrollments`."""

    course_id: int
    status: str
    passed_over_at: str | None
    credits: int
    catalog_id: int | None
    component: str
    term_id: int
    term_code: str
    starts_on: str
    ends_on: str


class CourseRow(NamedTuple):
    """A row of the question `courses`. `credits`, `status` and `position` are those of the student's enrollment."""

    course_id: int
    capacity: int | None
    waitlist_capacity: int | None
    seats_taken: int
    waiting: int
    passed_over_count: int
    closed_at: str | None
    permission_required: bool
    component: str
    least_credits: int
    most_credits: int
    catalog_id: int | None
    courses_per_term: int | None
    completions_allowed: int | None
    status: str | None
    credits: int | None
    position: int | None
    term_id: int | None
    term_code: str
    starts_on: str
    ends_on: str
    credit_limit: int | None
    drop_until: str | None
    withdraw_until: str | None
    promote_until: str | None


def situation_from(student_id: int, now: datetime, answers: Mapping[str, Rows], time_zone: tzinfo) -> Situation:
    """Return the situation of a student that exists."""
    ((schedule_revision,),) = answers["student"]
    return Situation(
        now=now,
        student_id=student_id,
        schedule_revision=schedule_revision,
        group_ids=frozenset(group_id for (group_id,) in answers["groups"]),
        holds=[Hold(kind=kind, contact=contact, blocks=blocks) for kind, contact, blocks in answers["holds"]],
        permissions=frozenset((course_id, rule) for course_id, rule in answers["permissions"]),
        completions=[Completion(catalog_id=catalog_id, points=points) for catalog_id, points in answers["completions"]],
        enrollments=_enrollments(answers, time_zone),
        courses=_courses(answers, time_zone),
        answers=answers,
    )


def _enrollments(answers: Mapping[str, Rows], time_zone: tzinfo) -> list[Enrollment]:
    meetings, links = _grouped(answers["meetings_of_enrollments"]), _grouped(answers["links_of_enrollments"])
    return [
        Enrollment(
            id=row.course_id,
            status=row.status,
            is_passed_over=row.passed_over_at is not None,
            student_credits=row.credits,
            catalog_id=row.catalog_id,
            component=row.component,
            # Without the limit and the deadlines of the term, which matter for the courses of the request only.
            term=Term(
                id=row.term_id,
                code=row.term_code,
                starts_on=date.fromisoformat(row.starts_on),
                ends_at=end_of_day(date.fromisoformat(row.ends_on), time_zone),
            ),
            meetings=_meetings(meetings.get(row.course_id, ())),
            linked_alternatives=_linked_alternatives(links.get(row.course_id, ())),
        )
        for row in itertools.starmap(EnrollmentRow, answers["enrollments"])
    ]


def _courses(answers: Mapping[str, Rows], time_zone: tzinfo) -> dict[int, Course]:
    limits: dict[int, int] = dict(answers["limits"])  # type: ignore[arg-type]
    windows, restrictions = _grouped(answers["windows"]), _grouped(answers["restrictions"])
    meetings, links = _grouped(answers["meetings"]), _grouped(answers["links"])
    prerequisites = _grouped(answers["prerequisites"])
    courses = {}
    for row in itertools.starmap(CourseRow, answers["courses"]):
        course_id = row.course_id
        # Chosen credits, else the least; a seat that was taken without credits keeps 0.
        default_credits = 0 if row.status == ENROLLED else row.least_credits
        term = None
        if row.term_id is not None:
            limit = limits.get(row.term_id, row.credit_limit)
            term = _term(row.term_id, row, limit, windows.get(row.term_id, ()), time_zone)
        courses[course_id] = Course(
            id=course_id,
            capacity=row.capacity,
            waitlist_capacity=row.waitlist_capacity,
            seats_taken=row.seats_taken,
            waiting=row.waiting,
            passed_over_count=row.passed_over_count,
            closed_at=_optional_instant(row.closed_at),
            permission_required=bool(row.permission_required),  # SQLite has 0 and 1
            component=row.component,
            least_credits=row.least_credits,
            most_credits=row.most_credits,
            student_credits=default_credits if row.credits is None else row.credits,
            catalog_id=row.catalog_id,
            entry=_entry(row, prerequisites.get(course_id, ())),
            term=term,
            # A course without a term has none here: its enrollments change without raising the revision.
            meetings=_meetings(meetings.get(course_id, ())) if term else (),
            linked_alternatives=_linked_alternatives(links.get(course_id, ())) if term else (),
            restrictions=[
                Restriction(group_id=group_id, kind=kind, code=code, admits=bool(admits))
                for group_id, kind, code, admits in restrictions.get(course_id, ())
            ],
            student_status=row.status,
            student_position=row.position,
        )
    return courses


def _entry(row: CourseRow, prerequisites: Rows) -> CatalogEntry | None:
    if row.catalog_id is None:
        return None
    return CatalogEntry(
        id=row.catalog_id,
        courses_per_term=row.courses_per_term,
        completions_allowed=row.completions_allowed,
        prerequisites=_prerequisites(prerequisites),
    )


def _term(term_id: int, row: CourseRow, credit_limit: int | None, windows: Rows, time_zone: tzinfo) -> Term:
    return Term(
        id=term_id,
        code=row.term_code,
        starts_on=date.fromisoformat(row.starts_on),
        ends_at=end_of_day(date.fromisoformat(row.ends_on), time_zone),
        credit_limit=credit_limit,
        drop_until=_optional_instant(row.drop_until),
        withdraw_until=_optional_instant(row.withdraw_until),
        promote_until=_optional_instant(row.promote_until),
        windows=[
            Window(group_id=group_id, opens_at=_instant(opens_at), closes_at=_instant(closes_at))
            for group_id, opens_at, closes_at in windows
        ],
    )


def _meetings(rows: Rows) -> list[Meeting]:
    return [
        Meeting(
            weekday=weekday,
            starts_minute=starts_minute,
            ends_minute=ends_minute,
            starts_on=date.fromisoformat(starts_on),
            ends_on=date.fromisoformat(ends_on),
        )
        for weekday, starts_minute, ends_minute, starts_on, ends_on in rows
    ]


def _linked_alternatives(rows: Rows) -> list[frozenset[int]]:
    return [frozenset(linked_id for (linked_id,) in group) for group in _grouped(rows).values()]


def _prerequisites(rows: Rows) -> list[list[Prerequisite]]:
    return [
        [
            Prerequisite(
                code=code,
                catalog_id=catalog_id,
                group_id=group_id,
                minimum_points=points,
                minimum_grade=grade,
                concurrent_allowed=bool(concurrent),
            )
            for catalog_id, group_id, code, points, grade, concurrent, _ in sorted(group, key=lambda row: row[-1])
        ]
        for group in _grouped(rows).values()
    ]


@functools.lru_cache(maxsize=1024)
def end_of_day(day: date, time_zone: tzinfo) -> datetime:
    """Return the instant at which a day of the school ends."""
    return datetime.combine(day + timedelta(days=1), time(), time_zone).astimezone(UTC)


def _grouped(rows: Iterable[Sequence[Any]]) -> dict[int, list[Sequence[Any]]]:
    """Return the rows by their first column, without it."""
    ordered = sorted(rows, key=lambda row: row[0])
    return {key: [row[1:] for row in group] for key, group in itertools.groupby(ordered, lambda row: row[0])}


def _optional_instant(text: str | None) -> datetime | None:
    return None if text is None else _instant(text)


def _instant(text: str) -> datetime:
    """Return an instant that a database wrote into JSON: SQLite without its zone, PostgreSQL in that of the session."""
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
