"""Refusals that concern terms and groups, and courses because of their term."""

from __future__ import annotations

from .base import Conflict, Problem


class TermNotFound(Problem):
    code, status, title = "term_not_found", 404, "Term not found"
    meaning = "There is no term with this id."
    remedy = "Check the id, or create the term with POST /terms."


class TermHasCourses(Conflict):
    code, title = "term_has_courses", "Term has courses"
    meaning = "Courses belong to this term, so it cannot be deleted."
    remedy = "Delete its courses first; GET /courses?term_id= lists them. A course never leaves its term."


class TermIsFixed(Conflict):
    code, title = "term_is_fixed", "Term is fixed"
    meaning = "A course that belongs to a term never leaves or changes its term."
    remedy = "Leave `term_id` as it is, and create another course in the other term."


class CourseHasNoTerm(Conflict):
    code, title = "course_has_no_term", "Course has no term"
    meaning = "The rules of registration apply to courses of a term, and this course has none."
    remedy = "Move the course into a term first: PATCH /courses/{id} with `term_id`."


class GroupNotFound(Problem):
    code, status, title = "group_not_found", 404, "Group not found"
    meaning = "There is no group with this id."
    remedy = "Check the id, or create the group with POST /groups."


class GroupInUse(Conflict):
    code, title = "group_in_use", "Group in use"
    meaning = "Students, registration windows, restrictions or prerequisites refer to this group."
    remedy = "Take it from the students, windows, restrictions and prerequisites first."
