"""The groups that a student is in."""

from __future__ import annotations

from collections.abc import Sequence

from ..context import RequestContext
from ..database import retried, writing
from ..models import student_groups
from . import Precondition
from .enrollment import promote
from .owned_lists import OwnedList, Row, replace_within
from .passed_over_marks import reconsider_student
from .rule_ledger import record
from .students import STUDENT_RESOURCE

STUDENT_GROUP_LIST = OwnedList(owner=STUDENT_RESOURCE, table=student_groups, column="student_id", names=("group_id",))


def replace(
    student_id: int, group_ids: Sequence[int], precondition: Precondition | None, context: RequestContext
) -> Sequence[Row]:
    """Put a student into exactly these groups, and promote the student where a waitlist waited for that.

    Raises `StudentNotFound`, `ValidationFailed` for groups that do not exist, and what `precondition` raises.
    """
    rows, course_ids = _replace(student_id, group_ids, precondition, context)
    promote(course_ids, context)
    return rows


@retried(repeatable=False)
def _replace(
    student_id: int, group_ids: Sequence[int], precondition: Precondition | None, context: RequestContext
) -> tuple[Sequence[Row], list[int]]:
    with writing() as session:
        course_ids = reconsider_student(session, student_id)
        change = replace_within(session, STUDENT_GROUP_LIST, student_id, group_ids, precondition)
        for what, rows in (("added", change.added), ("removed", change.removed)):
            for (group_id,) in rows:
                record(session, context, student_id, ("group", group_id), what, {})
        return change.rows, course_ids
