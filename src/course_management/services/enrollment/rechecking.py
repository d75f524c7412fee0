"""Ask the rules about enrollments that exist: what a student may have lost since, or a course changed."""

from __future__ import annotations

from collections.abc import Sequence

from ...context import RequestContext
from ...database import autocommit
from ...errors import Reason, StudentNotFound
from ...models import ENROLLED
from .loading import load_by_rules
from .rules import reasons


def recheck(student_id: int, course_ids: Sequence[int], context: RequestContext) -> list[tuple[int, Reason]]:
    """Return what the rules that apply to `recheck` say against a student's enrollments, by course. Changes nothing.

    The situation is loaded as for enrolling, so a permission waives here what it waives there. A reason that is the
    same for several courses, such as the credit limit, is given for the first of them. Courses from which the
    student has unenrolled meanwhile, or all of a student who was deleted, have no reasons.
    """
    try:
        situation = load_by_rules(autocommit, student_id, course_ids, context)
    except StudentNotFound:
        return []
    enrolled = sorted(course.id for course in situation.courses.values() if course.student_status == ENROLLED)
    checked = situation.with_actions(dict.fromkeys(enrolled, "recheck"), {})
    reasons_by_course: list[tuple[int, Reason]] = []
    for course_id in enrolled:
        known = [reason.as_dict() for _, reason in reasons_by_course]
        against = reasons(checked.courses[course_id], checked)
        reasons_by_course += [(course_id, reason) for reason in against if reason.as_dict() not in known]
    return reasons_by_course
