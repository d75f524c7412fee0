"""Apply the requests of several students in one transaction, each of them all or nothing.

For imports: one transaction for each student costs three times as much. Students whom nothing refuses get their seats
by one statement (`taking_seats.py`), the others one after the other. The locks of all of them are taken first, in
the order of all locks, so the caller bounds how many rows there are: the other requests for these courses wait.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeAlias

from sqlalchemy import String, literal, select

from ...database import AnyRow, autocommit, retried, run, transaction
from ...database.types import among
from ...models import ENROLLED, HUNDREDTHS, WAITLISTED, courses, enrollments, students
from . import parameters
from .exchanging import exchange
from .loading import Execute
from .promotion import promote
from .request import EnrollmentRequest
from .results import EnrollmentResult
from .statements import LOCK_COURSES
from .taking_seats import take_seats

Pair: TypeAlias = tuple[int, int]
"""The ids of a student and a course."""
BulkResult: TypeAlias = EnrollmentResult | None
"""None if the caller must look again: the student or an enrollment is not as it was seen."""
Note: TypeAlias = Callable[[Execute, Sequence[BulkResult]], object]
"""Writes down the results in the transaction in which they were applied."""

_LOCK_STUDENTS = (
    select(students.c.id)
    .where(among(students.c.id, parameters.student_ids))
    .order_by(students.c.id)
    .with_for_update(key_share=True)
)
_WAITING = (
    select(enrollments.c.student_id, enrollments.c.course_id)
    .join(courses, courses.c.id == enrollments.c.course_id)
    .where(
        among(enrollments.c.student_id, parameters.student_ids),
        enrollments.c.status == literal(WAITLISTED, String),
        courses.c.term_id.is_not(None),
    )
)
_PRESENT = select(
    enrollments.c.student_id,
    enrollments.c.course_id,
    enrollments.c.status,
    enrollments.c.actor,
    enrollments.c.revision,
    HUNDREDTHS.label("credits"),
).where(among(enrollments.c.student_id, parameters.student_ids), among(enrollments.c.course_id, parameters.course_ids))


def enrollments_of(student_ids: Collection[int], course_ids: Collection[int]) -> dict[Pair, AnyRow]:
    """Return `status`, `actor`, `revision` and `credits` (hundredths) of these students in these courses, by pair."""
    return _present(autocommit, student_ids, course_ids)


def exchange_all(
    requests: Sequence[EnrollmentRequest], seen: Mapping[Pair, AnyRow], note: Note = lambda *_: None
) -> list[BulkResult]:
    """Apply each of the requests that nothing refuses, all in one transaction. Return a result for each.

    A request is applied only if the enrollments that it is about are still those of `seen`, which the caller has looked
    at (`enrollments_of`): so a change that somebody has made meanwhile is never overwritten. Several requests may be
    about one student. `note` is called in the transaction; if it is tried again, once more.
    """
    results = _exchange_all(requests, seen, note)
    freed: set[int] = set()
    for result in filter(None, results):
        freed |= {course_id for course_id, outcome in result.outcome_by_course.items() if outcome != ENROLLED}
        freed |= _reserved(result)
        freed.update(result.courses_to_promote)
    is_pending = promote(sorted(freed), requests[0].context).pending
    # While students still wait beside the seat, the refusal is true: it is reserved for them.
    return [None if result and _reserved(result) and not is_pending else result for result in results]


def _reserved(result: EnrollmentResult) -> set[int]:
    """Return the courses of which a free seat is reserved for students on the waitlist."""
    return {decision.course_id for decision in result.decisions if decision.seat_reserved}


@retried(repeatable=True)
def _exchange_all(requests: Sequence[EnrollmentRequest], seen: Mapping[Pair, AnyRow], note: Note) -> list[BulkResult]:
    student_ids = sorted({request.student_id for request in requests})
    course_ids = {course_id for request in requests for course_id in _courses_of(request)}
    with transaction() as connection:
        execute = functools.partial(run, connection)
        waitlisted_ids: dict[int, list[int]] = {student_id: [] for student_id in student_ids}
        for row in execute(_WAITING, {"students": student_ids}):
            waitlisted_ids[row.student_id].append(row.course_id)
        execute(LOCK_COURSES, {"course_ids": sorted(course_ids.union(*waitlisted_ids.values()))})
        existing_students = {row.id for row in execute(_LOCK_STUDENTS, {"students": student_ids})}
        present = _present(execute, student_ids, course_ids)

        is_as_seen = [
            request.student_id in existing_students
            and all(present.get(pair) == seen.get(pair) for pair in _pairs_of(request))
            for request in requests
        ]
        requests_by_student = Counter(request.student_id for request in requests)
        seated = take_seats(
            execute,
            [
                request
                for request, unchanged in zip(requests, is_as_seen, strict=True)
                if unchanged
                and not request.instead_of
                and not waitlisted_ids[request.student_id]
                and requests_by_student[request.student_id] == 1
            ],
        )
        results: list[BulkResult] = [
            (seated.get(request.student_id) or exchange(execute, request, waitlisted_ids[request.student_id]))
            if unchanged
            else None
            for request, unchanged in zip(requests, is_as_seen, strict=True)
        ]
        note(execute, results)
    return results


def _courses_of(request: EnrollmentRequest) -> list[int]:
    return [*request.course_ids, *request.instead_of]


def _pairs_of(request: EnrollmentRequest) -> list[Pair]:
    return [(request.student_id, course_id) for course_id in _courses_of(request)]


def _present(execute: Execute, student_ids: Collection[int], course_ids: Collection[int]) -> dict[Pair, AnyRow]:
    rows = execute(_PRESENT, {"students": sorted(student_ids), "course_ids": sorted(course_ids)})
    return {(row.student_id, row.course_id): row for row in rows}
