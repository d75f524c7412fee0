"""A rule of this school: a student takes one language course per term."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from sqlalchemy import Select, select

from course_management.database.types import among
from course_management.models import catalog_entries, courses, enrollments
from course_management.rules import Action, Course, Facts, Rule, Situation, course_ids, student_id

_languages = (
    select(courses.c.id)
    .join(catalog_entries, catalog_entries.c.id == courses.c.catalog_id)
    .where(catalog_entries.c.code.startswith("LANG "), courses.c.term_id.is_not(None))
)


class OneLanguagePerTerm(Rule):
    """A student takes one course in a term whose catalog entry is of the subject LANG.

    It does not stop a student from joining a waitlist; it stops the promotion.
    """

    code, title = "one_language_per_term", "One language course per term"
    meaning = "The student takes another language course in the term."
    remedy = "Choose one of the courses in `course_ids`, or swap. The language center can permit both."
    example: ClassVar[Facts] = {"course_ids": [7]}
    applies_to = frozenset[Action]({"enroll", "promote"})
    questions: ClassVar[Mapping[str, Select[Any]]] = {
        "languages_of_request": _languages.where(among(courses.c.id, course_ids)),
        "languages_of_student": _languages.join(enrollments, enrollments.c.course_id == courses.c.id).where(
            enrollments.c.student_id == student_id
        ),
    }

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield the other language courses of the student in the term."""
        languages = {number for name in self.questions for (number,) in situation.answers[name]}
        if course.id not in languages or course.term is None:
            return
        others = [
            each.id
            for each in situation.other_courses(course)
            if each.id in languages and each.term is not None and each.term.id == course.term.id
        ]
        if others:
            yield {"course_ids": sorted(others)}
