"""Unenroll a student from courses. The seats go to the students on the waitlist."""

from __future__ import annotations

from collections.abc import Sequence

from ...context import RequestContext
from ...database import AnyRow, Raced, autocommit, db, retried
from ...errors import CourseNotFound
from ...models import ENROLLED, WAITLISTED
from .decisions import explain
from .enrolling import Outcome
from .promotion import promote
from .statements import UNENROLL, parameters

OUTCOMES = {ENROLLED: "unenrolled", WAITLISTED: "left_waitlist"}


def unenroll(student_id: int, course_ids: Sequence[int], *, context: RequestContext) -> list[Outcome]:
    """Unenroll the student from `course_ids` (distinct). Safe to repeat: a repetition changes nothing.

    Returns `unenrolled`, `left_waitlist` or `not_enrolled` for each course, in the order of the request. Raises
    `StudentNotFound`, or `CourseNotFound` if one of the courses does not exist; then nothing has changed.
    """
    changed = _apply(student_id, course_ids, context)
    # Also in courses that did not change: this may repeat a call whose promotion failed.
    promote([course_id for course_id in course_ids if course_id not in changed or changed[course_id].waiting], context)
    return [
        Outcome(course_id, OUTCOMES[changed[course_id].previous_status] if course_id in changed else "not_enrolled")
        for course_id in course_ids
    ]


@retried(repeatable=True)
def _apply(student_id: int, course_ids: Sequence[int], context: RequestContext) -> dict[int, AnyRow]:
    """Run the statement and return the row of each change, by course id. Raises the refusals."""
    rows = autocommit(UNENROLL[db.engine.dialect.name], parameters(student_id, course_ids, context))
    if not rows:
        decisions = explain(autocommit, student_id, course_ids, waitlist=False)
        unknown = [each.as_dict() for each in decisions if each.is_unknown]
        if unknown:
            raise CourseNotFound(decisions=unknown)
        if any(each.outcome.startswith("already_") for each in decisions):
            raise Raced  # between the two statements, the student was enrolled or a course was created
    return {row.course_id: row for row in rows}
