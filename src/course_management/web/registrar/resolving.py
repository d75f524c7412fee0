"""Where the staff resolves what stops a student: the page about the student, or about the course or its term."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..subjects import path_about
from ..texts import N_, _

PAGES_ABOUT_STUDENT = {
    "already_completed": ("/completions", N_("Completions")),
    "credit_limit_exceeded": ("/limits", N_("Credit limits")),
    "credits_not_offered": ("/my-courses", N_("Courses")),
    "hold": ("/holds", N_("Holds")),
    "linked_course_missing": ("/my-courses", N_("Courses")),
    "other_course_of_entry_held": ("/my-courses", N_("Courses")),
    "prerequisite_missing": ("/completions", N_("Completions")),
    "restricted": ("", N_("Record")),
    "time_conflict": ("/timetable", N_("Timetable")),
}
"""By code: the path below that of the student, and the name that the page has in the navigation."""


class Resolution(NamedTuple):
    """A page below `/app`, and its name."""

    path: str
    label: str


def resolution(code: str, student_id: int, course: Any) -> Resolution | None:
    """Return where a reason of this code against a student and a course is resolved; None if no page does that."""
    if code == "course_closed":
        return Resolution(f"/registrar/courses/{course.id}", course.code)
    if code == "waitlist_closed":
        return Resolution(f"/registrar/terms/{course.term_id}", course.term)
    if code not in PAGES_ABOUT_STUDENT:
        return None
    path, label = PAGES_ABOUT_STUDENT[code]
    return Resolution(path_about(student_id, path), _(label))
