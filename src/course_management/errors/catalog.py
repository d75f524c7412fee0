"""Refusals that concern the catalog, and the data that refers to it."""

from __future__ import annotations

from .base import Conflict, Problem


class CatalogEntryNotFound(Problem):
    code, status, title = "catalog_entry_not_found", 404, "Catalog entry not found"
    meaning = "There is no catalog entry with this id."
    remedy = "Check the id, or create the entry with POST /catalog."


class CatalogEntryInUse(Conflict):
    code, title = "catalog_entry_in_use", "Catalog entry in use"
    meaning = "Courses, completions or the prerequisites of other entries refer to this entry."
    remedy = "Take it from the courses (GET /courses?catalog_id=), completions and prerequisites first."


class StudentHasCompletions(Conflict):
    code, title = "student_has_completions", "Student has completions"
    meaning = "The student has completed catalog entries and cannot be deleted."
    remedy = "Delete the completions that GET /students/{id}/completions lists first."


class CourseIsLinked(Conflict):
    code, title = "course_is_linked", "Course is linked"
    meaning = "Another course requires that its students also take this course, so it cannot be deleted."
    remedy = "Take it from the links of the other courses first, with PUT /courses/{id}/links."
