"""Build the values of a situation from the rows of the questions, as JSON has them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

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
UNREAD = (None,) * 4
"""The limit and the deadlines of a term, which matter for the courses of the request only."""


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
            id=course_id,
            status=status,
            is_passed_over=passed_over_at is not None,
            credits=credits_taken,
            catalog_id=catalog_id,
            component=component,
            term=_term([*term, *UNREAD], (), time_zone),
            meetings=_meetings(meetings.get(course_id, ())),
            links=_links(links.get(course_id, ())),
        )
        for course_id, status, passed_over_at, credits_taken, catalog_id, component, *term in answers["enrollments"]
    ]


def _courses(answers: Mapping[str, Rows], time_zone: tzinfo) -> dict[int, Course]:
    limits: dict[int, int] = dict(answers["limits"])  # type: ignore[arg-type]
    windows, restrictions = _grouped(answers["windows"]), _grouped(answers["restrictions"])
    meetings, links = _grouped(answers["meetings"]), _grouped(answers["links"])
    prerequisites = _grouped(answers["prerequisites"])
    found = {}
    for number, capacity, waitlist_capacity, seats_taken, waiting, passed_over, closed_at, *more in answers["courses"]:
        by_permission, component, least, most, catalog_id, per_term, completions_allowed, *own = more
        status, credits_taken, position, term_id, code, starts_on, ends_on, limit, *deadlines = own
        term = None
        if term_id is not None:
            row = [term_id, code, starts_on, ends_on, limits.get(term_id, limit), *deadlines]
            term = _term(row, windows.get(term_id, ()), time_zone)
        found[number] = Course(
            id=number,
            capacity=capacity,
            waitlist_capacity=waitlist_capacity,
            seats_taken=seats_taken,
            waiting=waiting,
            passed_over=passed_over,
            closed_at=_instant(closed_at),
            permission_required=bool(by_permission),  # SQLite has 0 and 1
            component=component,
            least_credits=least,
            most_credits=most,
            credits=(0 if status == ENROLLED else least) if credits_taken is None else credits_taken,
            catalog_id=catalog_id,
            entry=None
            if catalog_id is None
            else CatalogEntry(
                id=catalog_id,
                courses_per_term=per_term,
                completions_allowed=completions_allowed,
                prerequisites=_prerequisites(prerequisites.get(number, ())),
            ),
            term=term,
            # A course without a term has none here: its enrollments change without raising the revision.
            meetings=_meetings(meetings.get(number, ())) if term else (),
            links=_links(links.get(number, ())) if term else (),
            restrictions=[
                Restriction(group_id=group_id, kind=kind, code=code, admits=bool(admits))
                for group_id, kind, code, admits in restrictions.get(number, ())
            ],
            status=status,
            position=position,
        )
    return found


def _term(row: Sequence[Any], windows: Rows, time_zone: tzinfo) -> Term:
    number, code, starts_on, ends_on, credit_limit, *deadlines = row
    drop_until, withdraw_until, promote_until = map(_instant, deadlines)
    return Term(
        id=number,
        code=code,
        starts_on=date.fromisoformat(starts_on),
        ends_at=end_of(date.fromisoformat(ends_on), time_zone),
        credit_limit=credit_limit,
        drop_until=drop_until,
        withdraw_until=withdraw_until,
        promote_until=promote_until,
        windows=[
            Window(group_id=group_id, opens_at=_known(opens_at), closes_at=_known(closes_at))
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


def _links(rows: Rows) -> list[frozenset[int]]:
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
            for catalog_id, group_id, code, points, grade, concurrent, _ in sorted(group, key=lambda each: each[-1])
        ]
        for group in _grouped(rows).values()
    ]


@functools.lru_cache(maxsize=1024)
def end_of(day: date, time_zone: tzinfo) -> datetime:
    """Return the instant at which a day of the school ends."""
    return datetime.combine(day + timedelta(days=1), time(), time_zone).astimezone(UTC)


def _grouped(rows: Iterable[Sequence[Any]]) -> dict[int, list[Sequence[Any]]]:
    """Return the rows by their first column, without it."""
    ordered = sorted(rows, key=lambda row: row[0])
    return {key: [row[1:] for row in group] for key, group in itertools.groupby(ordered, lambda row: row[0])}


def _instant(text: str | None) -> datetime | None:
    return None if text is None else _known(text)


def _known(text: str) -> datetime:
    """Return an instant that a database wrote into JSON: SQLite without its zone, PostgreSQL in that of the session."""
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
