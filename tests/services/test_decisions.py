"""What is decided about a course, over plain situations: the action, its reasons, and every reason at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from course_management.errors import CourseNotFound, EnrollmentRefused
from course_management.services.enrollment.decisions import decide, raise_if_refused
from course_management.services.enrollment.situation import Course, Hold, Situation, Term, Window

NOW = datetime(2026, 8, 20, 10, tzinfo=UTC)
DAY = timedelta(days=1)
TERM = Term(
    id=1,
    code="2026FA",
    starts_on=date(2026, 9, 1),
    ends_at=datetime(2026, 12, 20, 5, tzinfo=UTC),
    promote_until=NOW + 9 * DAY,
    windows=[Window(opens_at=NOW - DAY, closes_at=NOW + DAY)],
)
FREE = Course(id=5, capacity=2, seats_taken=1)
FULL = replace(FREE, seats_taken=2)
WITH_WAITLIST = replace(FULL, waitlist_capacity=3, waiting=1)
RESERVED = replace(FREE, waitlist_capacity=3, waiting=1)
HOLD = Hold(kind="bursar", contact="bursar@example.edu", blocks="both")


def decision(course: Course, *, waitlist: bool = False, **changes: Any) -> Any:
    situation = replace(Situation(now=NOW, student_id=7, courses={5: course}), **changes)
    (found,) = decide(situation, [5], waitlist=waitlist)
    return found


def codes(found: Any) -> list[str]:
    return [reason.code for reason in found.reasons]


@pytest.mark.parametrize(
    ("course", "waitlist", "expected"),
    [
        (FREE, False, ("eligible", "enrolled", [])),
        (FREE, True, ("eligible", "enrolled", [])),
        (FULL, False, ("refused", "enrolled", ["course_full"])),
        (FULL, True, ("refused", "waitlisted", ["course_full"])),
        (WITH_WAITLIST, False, ("refused", "enrolled", ["course_full"])),
        (WITH_WAITLIST, True, ("eligible", "waitlisted", [])),
        (replace(WITH_WAITLIST, waiting=3), True, ("refused", "waitlisted", ["waitlist_full"])),
        (RESERVED, False, ("refused", "enrolled", ["course_full"])),
        (RESERVED, True, ("eligible", "waitlisted", [])),
        (replace(RESERVED, passed_over_count=1), False, ("eligible", "enrolled", [])),
        (replace(RESERVED, passed_over_count=1), True, ("eligible", "enrolled", [])),
        (replace(FREE, capacity=None), False, ("eligible", "enrolled", [])),
    ],
)
def test_the_action_is_the_seat_or_the_place_that_there_is(
    course: Course, waitlist: bool, expected: tuple[str, str, list[str]]
) -> None:
    found = decision(course, waitlist=waitlist)

    assert (found.outcome, found.new_status, codes(found)) == expected


def test_a_full_course_offers_no_waitlist_after_its_end() -> None:
    over = replace(WITH_WAITLIST, term=replace(TERM, promote_until=NOW))

    assert [dict(each.facts)["waitlist_open"] for each in decision(over).reasons] == [False]
    assert [dict(each.facts)["waitlist_open"] for each in decision(WITH_WAITLIST).reasons] == [True]


def test_a_free_seat_beside_waiting_students_is_reserved() -> None:
    assert decision(RESERVED).seat_reserved
    assert not decision(FULL).seat_reserved
    assert not decision(replace(RESERVED, passed_over_count=1)).seat_reserved


def test_a_student_who_is_in_the_course_is_asked_no_rule() -> None:
    for status in ("enrolled", "waitlisted"):
        found = decision(replace(FULL, student_status=status, student_position=2, term=TERM), holds=[HOLD])

        assert (found.outcome, found.reasons, found.position) == (f"already_{status}", (), 2)


def test_a_full_course_is_refused_beside_the_reasons_of_the_rules_and_not_instead() -> None:
    course = replace(FULL, term=replace(TERM, windows=[]), permission_required=True)

    assert codes(decision(course, holds=[HOLD])) == [
        "hold",
        "registration_closed",
        "permission_required",
        "course_full",
    ]


def test_a_seat_that_is_free_is_judged_as_a_seat_also_with_waitlist() -> None:
    """Asking for the waitlist does not avoid the rules of enrolling."""
    closed = replace(TERM, promote_until=NOW)

    assert decision(replace(FREE, term=closed), waitlist=True).outcome == "eligible"
    assert codes(decision(replace(WITH_WAITLIST, term=closed), waitlist=True)) == ["waitlist_closed"]


def test_a_refusal_has_a_decision_for_every_course_in_the_order_asked() -> None:
    situation = Situation(now=NOW, student_id=7, courses={5: FREE, 6: replace(FULL, id=6)})

    with pytest.raises(EnrollmentRefused) as refused:
        raise_if_refused(decide(situation, [6, 5], waitlist=False))
    with pytest.raises(CourseNotFound) as unknown:
        raise_if_refused(decide(situation, [5, 9, 6], waitlist=False))

    assert [each["outcome"] for each in refused.value.members["decisions"]] == ["refused", "eligible"]
    assert [each["course_id"] for each in unknown.value.members["decisions"]] == [5, 9, 6]
    raise_if_refused(decide(situation, [5], waitlist=False))


@pytest.mark.parametrize(
    ("course", "holds", "expected"),
    [
        (replace(FREE, student_status="enrolled", term=TERM), [], "eligible"),
        (replace(FREE, student_status="enrolled", term=TERM), [HOLD], "refused"),
        (replace(FREE, student_status="enrolled"), [HOLD], "eligible"),
        (replace(FREE, term=TERM), [HOLD], "not_enrolled"),
    ],
)
def test_leaving_is_decided_by_the_rules_that_apply_to_it(course: Course, holds: list[Hold], expected: str) -> None:
    situation = Situation(now=NOW, student_id=7, holds=holds, courses={5: course})

    assert [each.outcome for each in decide(situation, [], unenrolling=[5])] == [expected]
