"""Instructors: which people teach a course."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ...schemas.terms import MAX_INSTRUCTORS
from ...services.courses import INSTRUCTOR_LIST as INSTRUCTORS_OF_A_COURSE
from ..handlers import ListHandler
from ..handlers.merging import Item
from ..kind import Kind, Reference

INSTRUCTOR_KIND = Kind(
    "instructors", {"course": Reference(), "person": Reference()}, ("course", "person"), ("course person",)
)


class InstructorHandler(ListHandler):
    """Adds instructors to courses, and removes those that the file says are gone: files may have only changes."""

    kind = INSTRUCTOR_KIND
    references: ClassVar = {"course": "course", "person": "person"}
    owned_list = INSTRUCTORS_OF_A_COURSE
    owner = "course"
    most = MAX_INSTRUCTORS
    is_complete = False

    def item(self, values: Mapping[str, Any]) -> Item | None:
        """Return the id of the person."""
        person_id = self.id_of("person", values["person"])
        return None if person_id is None else (person_id,)
