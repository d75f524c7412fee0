"""Taking a student out of courses; the seats go to those who wait for them."""

from __future__ import annotations

from collections.abc import Sequence

from ...database import Raced, autocommit, retried
from ...errors import CourseNotFound
from ...models import ENROLLED, WAITLISTED
from .. import Context
from .decisions import explain
from .enrolling import Outcome
from .promotion import promote
from .statements import UNENROLL, parameters

LEFT = {ENROLLED: "unenrolled", WAITLISTED: "left_waitlist"}


def unenroll(student_id: int, course_ids: Sequence[int], *, context: Context) -> list[Outcome]:
    """Take the student out of `course_ids` (distinct). Safe to repeat: who is not in a course stays out of it.

    Returns `unenrolled`, `left_waitlist` or `not_enrolled` for each course, in the order asked. Raises
    `StudentNotFound`, or `CourseNotFound` when any of the courses is unknown; then nothing has changed.
    """
    left = _apply(student_id, course_ids, context)
    # Also when nothing was left now: this may be the repetition of a call whose promotion was prevented.
    promote(course_ids, context)
    return [
        Outcome(course_id, LEFT[left[course_id]] if course_id in left else "not_enrolled") for course_id in course_ids
    ]


@retried(repeatable=True)
def _apply(student_id: int, course_ids: Sequence[int], context: Context) -> dict[int, str]:
    """Run the statement: the courses left, each with the status it had. Raises the refusals."""
    rows = autocommit(UNENROLL, parameters(student_id, course_ids, context))
    if not rows:
        decisions = explain(autocommit, student_id, course_ids, waitlist=False)
        unknown = [each.as_dict() for each in decisions if each.is_unknown]
        if unknown:
            raise CourseNotFound(decisions=unknown)
        if any(each.outcome.startswith("already_") for each in decisions):
            raise Raced  # enrolled between the two statements, or a course came to be
    return {row.course_id: row.previous_status for row in rows}
