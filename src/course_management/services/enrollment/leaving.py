"""Taking a student out of courses; the seats go to those who wait for them."""

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

LEFT = {ENROLLED: "unenrolled", WAITLISTED: "left_waitlist"}


def unenroll(student_id: int, course_ids: Sequence[int], *, context: RequestContext) -> list[Outcome]:
    """Take the student out of `course_ids` (distinct). Safe to repeat: who is not in a course stays out of it.

    Returns `unenrolled`, `left_waitlist` or `not_enrolled` for each course, in the order asked. Raises
    `StudentNotFound`, or `CourseNotFound` when any of the courses is unknown; then nothing has changed.
    """
    left = _apply(student_id, course_ids, context)
    # Also where nothing was left now: this may be the repetition of a call whose promotion was prevented.
    promote([course_id for course_id in course_ids if course_id not in left or left[course_id].waiting], context)
    return [
        Outcome(course_id, LEFT[left[course_id].previous_status] if course_id in left else "not_enrolled")
        for course_id in course_ids
    ]


@retried(repeatable=True)
def _apply(student_id: int, course_ids: Sequence[int], context: RequestContext) -> dict[int, AnyRow]:
    """Run the statement: the rows of the courses left, each with the status it had. Raises the refusals."""
    rows = autocommit(UNENROLL[db.engine.dialect.name], parameters(student_id, course_ids, context))
    if not rows:
        decisions = explain(autocommit, student_id, course_ids, waitlist=False)
        unknown = [each.as_dict() for each in decisions if each.is_unknown]
        if unknown:
            raise CourseNotFound(decisions=unknown)
        if any(each.outcome.startswith("already_") for each in decisions):
            raise Raced  # enrolled between the two statements, or a course came to be
    return {row.course_id: row for row in rows}
