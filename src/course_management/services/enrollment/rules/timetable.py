"""The timetable: two courses of a student do not meet at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ..situation import Action, Course, Meeting, Situation
from .base import Facts, Rule, RuleGuide


class TimeConflictRule(Rule):
    """A student cannot take two courses that meet at the same time on the same day.

    Meetings that follow each other without a break do not clash, nor do those of two half-terms. A time conflict does
    not stop a student from joining a waitlist; it stops the promotion.
    """

    code, title = "time_conflict", "Time conflict"
    meaning = "The course meets at the same time as another course of the student."
    remedy = "Choose another course or another section, or swap it for the one in `with`."
    example: ClassVar[Facts] = {
        "with": [
            {
                "course_id": 7,
                "weekday": 1,
                "starts": "09:00",
                "ends": "10:15",
                "starts_on": "2026-09-01",
                "ends_on": "2026-12-18",
            }
        ]
    }
    guide = RuleGuide(
        section="timetable",
        resolution="choose another section",
        data="meetings",
        facts={"with": "`course_id` and meeting of each other course"},
    )
    applies_to = frozenset[Action]({"enroll", "promote", "recheck"})

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield the meetings of other courses with which a meeting of the course clashes."""
        clashes = [
            {"course_id": other.id, **_facts(other_meeting)}
            for other in situation.other_courses(course)
            if not (course.action == "recheck" and (other.id, self.code) in situation.permissions)
            for other_meeting in other.meetings
            if any(other_meeting.clashes_with(meeting) for meeting in course.meetings)
        ]
        if clashes:
            yield {"with": clashes}


def _facts(meeting: Meeting) -> Facts:
    return {
        "weekday": meeting.weekday,
        "starts": _clock(meeting.starts_minute),
        "ends": _clock(meeting.ends_minute),
        "starts_on": meeting.starts_on,
        "ends_on": meeting.ends_on,
    }


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
