"""Refusals that concern students."""

from __future__ import annotations

from .base import Conflict, Problem


class StudentNotFound(Problem):
    code, status, title = "student_not_found", 404, "Student not found"
    meaning = "There is no student with this id."
    remedy = "Check the id, or create the student with POST /students."


class EmailTaken(Conflict):
    code, title = "email_taken", "E-mail address taken"
    meaning = "Another student has this e-mail address (upper and lower case count as the same)."
    remedy = "Use another address, or the student that has it: `existing_id`, for callers that may read students."


class PlanFull(Conflict):
    code, title = "plan_full", "Plan full"
    meaning = "The plan has as many courses as it can have."
    remedy = "Enroll in the courses of the plan, or remove some of them."


class StudentHasEnrollments(Conflict):
    code, title = "student_has_enrollments", "Student has enrollments"
    meaning = "The student is enrolled or waitlisted in a course, or has withdrawn from one, and cannot be deleted."
    remedy = "Unenroll the student from every course first. A student who has withdrawn from a course is kept."
