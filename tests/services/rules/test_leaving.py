"""The end of dropping and of withdrawing, over plain situations."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from course_management.services.enrollment.decisions import decide

from .situations import COURSE, DAY, NOW, STUDENT, TERM, facts_by_code, held

LEAVING = replace(COURSE, student_status="enrolled", action="unenroll")
BEFORE, AFTER = NOW - DAY, NOW + DAY


@pytest.mark.parametrize(
    ("ends_at", "drop_until", "withdraw_until", "planned"),
    [
        (AFTER, None, None, "unenrolled"),
        (AFTER, AFTER, None, "unenrolled"),
        (AFTER, BEFORE, None, None),
        (AFTER, NOW, None, None),
        (AFTER, BEFORE, AFTER, "withdrawn"),
        (AFTER, BEFORE, NOW, None),
        (BEFORE, None, None, None),
        (BEFORE, None, AFTER, "withdrawn"),
        (BEFORE, AFTER, None, "unenrolled"),
    ],
)
def test_leaving_is_dropping_then_withdrawing_then_refused(
    ends_at: datetime, drop_until: datetime | None, withdraw_until: datetime | None, planned: str | None
) -> None:
    term = replace(TERM, ends_at=ends_at, drop_until=drop_until, withdraw_until=withdraw_until)
    course = replace(LEAVING, term=term)
    situation = replace(STUDENT, courses={5: course}, enrollments=[held(5)])

    (decision,) = decide(situation, [], unenrolling=[5])

    if planned is None:
        expected = {"closed_at": drop_until or ends_at, "withdraw_until": withdraw_until}
        assert facts_by_code(course, situation) == {"drop_closed": expected}
        assert decision.outcome == "refused"
    else:
        assert (decision.outcome, decision.new_status) == ("eligible", planned)


def test_a_waitlist_can_be_left_at_any_time() -> None:
    over = replace(TERM, ends_at=BEFORE)
    course = replace(LEAVING, student_status="waitlisted", term=over)

    assert facts_by_code(course) == {}


def test_with_a_permission_the_course_is_dropped_and_not_withdrawn_from() -> None:
    course = replace(LEAVING, term=replace(TERM, drop_until=BEFORE, withdraw_until=AFTER))
    permitted = replace(STUDENT, courses={5: course}, permissions=frozenset({(5, "drop_closed")}))

    assert [each.new_status for each in decide(permitted, [], unenrolling=[5])] == ["unenrolled"]
