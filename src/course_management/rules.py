"""What a rule of a school is made of: `docs/rules-of-a-school.md` says how to write one.

These names stay as they are within a major version; those of the modules that they come from may move.
"""

from __future__ import annotations

from .services.enrollment.parameters import at as now
from .services.enrollment.parameters import course_ids, student_id
from .services.enrollment.rules.base import Facts, Rule
from .services.enrollment.situation import (
    Action,
    CatalogEntry,
    Completion,
    Course,
    Enrollment,
    Hold,
    Meeting,
    Prerequisite,
    Restriction,
    ScheduledCourse,
    Situation,
    Term,
    Window,
)

__all__ = [
    "Action",
    "CatalogEntry",
    "Completion",
    "Course",
    "Enrollment",
    "Facts",
    "Hold",
    "Meeting",
    "Prerequisite",
    "Restriction",
    "Rule",
    "ScheduledCourse",
    "Situation",
    "Term",
    "Window",
    "course_ids",
    "now",
    "student_id",
]
