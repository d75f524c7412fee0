"""The terms of courses, also of those that an import will create."""

from __future__ import annotations

from collections.abc import Mapping

from ..repositories import import_targets as targets
from .references import TO_CREATE, References


def terms_of(import_id: int, course_ids: Mapping[str, int]) -> Mapping[str, tuple[str, str] | None]:
    """Return the first and the last day of the terms of courses, by the names of the courses; None without a term."""
    terms = targets.terms_of_courses({course_id for course_id in course_ids.values() if course_id != TO_CREATE})
    days = targets.dates_of_terms({term_id for term_id in terms.values() if term_id})
    days_by_course = {
        name: days.get(terms.get(course_id) or TO_CREATE)
        for name, course_id in course_ids.items()
        if course_id != TO_CREATE
    }
    planned_courses = {name for name, course_id in course_ids.items() if course_id == TO_CREATE}
    planned_values = targets.planned_values(import_id, "courses", planned_courses)
    term_by_course = {name: values.get("term") for name, values in planned_values.items()}
    names = {term for term in term_by_course.values() if term}
    term_ids = References(import_id).ids("term", names)
    days = targets.dates_of_terms({term_id for term_id in term_ids.values() if term_id != TO_CREATE})
    planned = targets.planned_values(import_id, "terms", names)
    for name, term in term_by_course.items():
        if term in planned:
            days_by_course[name] = planned[term]["starts_on"], planned[term]["ends_on"]
        else:
            days_by_course[name] = days.get(term_ids.get(term or "", TO_CREATE))
    return days_by_course
