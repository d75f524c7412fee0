"""Time conflicts, over plain situations."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_management.services.enrollment.situation import Action, Meeting

from .situations import COURSE, EARLIER, OTHER, STUDENT, facts_by_code, held, meeting

MONDAY = meeting(1, "09:00", "10:15")


def clashes(*theirs: Meeting, ours: Meeting = MONDAY) -> bool:
    situation = replace(STUDENT, enrollments=[held(9, meetings=theirs)])
    return "time_conflict" in facts_by_code(replace(COURSE, meetings=[ours]), situation)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (meeting(1, "09:00", "10:15"), True),
        (meeting(1, "10:14", "11:00"), True),
        (meeting(1, "08:00", "09:01"), True),
        (meeting(1, "10:15", "11:00"), False),
        (meeting(1, "08:00", "09:00"), False),
        (meeting(2, "09:00", "10:15"), False),
        (meeting(1, "09:00", "10:15", "2026-12-19", "2027-02-01"), False),
        (meeting(1, "09:00", "10:15", "2026-12-14", "2026-12-14"), True),
        # One day in common, and it is a Tuesday.
        (meeting(1, "09:00", "10:15", "2026-08-01", "2026-09-01"), False),
    ],
)
def test_meetings_clash_that_share_a_minute_of_some_day(other: Meeting, expected: bool) -> None:
    assert clashes(other) is expected


def test_half_terms_do_not_clash() -> None:
    first, second = meeting(1, "09:00", "10:00", last="2026-10-20"), meeting(1, "09:00", "10:00", "2026-10-21")

    assert not clashes(first, ours=second)


def test_the_facts_name_every_meeting_that_clashes() -> None:
    situation = replace(STUDENT, enrollments=[held(9, meetings=[MONDAY, meeting(2, "09:00", "10:00")])])

    assert facts_by_code(replace(COURSE, meetings=[MONDAY]), situation) == {
        "time_conflict": {
            "with": [
                {
                    "course_id": 9,
                    "weekday": 1,
                    "starts": "09:00",
                    "ends": "10:15",
                    "starts_on": date(2026, 9, 1),
                    "ends_on": date(2026, 12, 18),
                }
            ]
        }
    }


def test_courses_of_one_request_clash() -> None:
    ours, theirs = replace(COURSE, meetings=[MONDAY]), replace(OTHER, meetings=[MONDAY])

    assert "time_conflict" in facts_by_code(ours, STUDENT, theirs)
    assert "time_conflict" in facts_by_code(theirs, STUDENT, ours)
    assert facts_by_code(ours, STUDENT, replace(theirs, action="waitlist")) == {}
    assert facts_by_code(ours, STUDENT, replace(theirs, action=None)) == {}


@pytest.mark.parametrize(("planned", "expected"), [("enroll", True), ("promote", True), ("waitlist", False)])
def test_a_time_conflict_does_not_stop_a_student_from_joining_a_waitlist(planned: Action, expected: bool) -> None:
    situation = replace(STUDENT, enrollments=[held(9, meetings=[MONDAY])])

    assert ("time_conflict" in facts_by_code(replace(COURSE, meetings=[MONDAY], action=planned), situation)) is expected


def test_a_course_that_is_left_or_only_waited_for_does_not_clash() -> None:
    ours = replace(COURSE, meetings=[MONDAY])
    left = replace(OTHER, meetings=[MONDAY], student_status="enrolled", action="unenroll")

    assert facts_by_code(ours, replace(STUDENT, enrollments=[held(9, "waitlisted", meetings=[MONDAY])])) == {}
    assert facts_by_code(ours, replace(STUDENT, enrollments=[held(OTHER.id, meetings=[MONDAY])]), left) == {}


def test_a_course_of_another_term_clashes_where_the_dates_overlap() -> None:
    situation = replace(STUDENT, enrollments=[held(9, term=EARLIER, meetings=[MONDAY])])

    assert "time_conflict" in facts_by_code(replace(COURSE, meetings=[MONDAY]), situation)


DAYS = st.integers(0, 20).map(lambda days: date(2026, 9, 1) + timedelta(days=days))
MEETINGS = st.builds(
    lambda weekday, start, length, first, days: Meeting(
        weekday=weekday,
        starts_minute=start,
        ends_minute=start + length,
        starts_on=first,
        ends_on=first + timedelta(days=days),
    ),
    st.integers(1, 7),
    st.integers(0, 20),
    st.integers(1, 10),
    DAYS,
    st.integers(0, 10),
)


def minutes(each: Meeting) -> set[tuple[date, int]]:
    """Every minute of every day, one by one."""
    days = [each.starts_on + timedelta(days=step) for step in range((each.ends_on - each.starts_on).days + 1)]
    return {
        (day, minute)
        for day in days
        if day.isoweekday() == each.weekday
        for minute in range(each.starts_minute, each.ends_minute)
    }


@given(MEETINGS, MEETINGS)
def test_two_meetings_clash_exactly_when_they_have_a_minute_in_common(one: Meeting, other: Meeting) -> None:
    assert one.clashes_with(other) == other.clashes_with(one) == bool(minutes(one) & minutes(other))
