"""Courses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ...errors import CapacityBelowEnrollment, CourseHasNoTerm, TermIsFixed, WaitlistCapacityBelowWaiting
from ...schemas.courses import CourseSchema
from ...services import courses
from ...services.courses import COURSE_RESOURCE as RESOURCE
from ..handlers import ResourceHandler
from ..kind import Kind, Reference, of_resource

COURSE_KIND = Kind(
    "courses",
    of_resource(CourseSchema, "term_id", "catalog_id", term=Reference(), catalog=Reference()),
    ("external_id",),
    ("code title term", "code title capacity", "code title component"),
)


class CourseHandler(ResourceHandler):
    """Creates and changes courses."""

    kind, resource, schema = COURSE_KIND, RESOURCE, CourseSchema
    references: ClassVar = {"term": "term", "catalog": "catalog"}

    def refuse_together(self, present: Any, values: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        """Raise what the values of a row together contradict, also with its term and the seats that are taken."""
        super().refuse_together(present, values, body)
        now = {**self._all_values(present), **values}
        term_id = body.get("term_id", now.get("term_id"))
        if present is not None and present.term_id is not None and term_id != present.term_id:
            raise TermIsFixed
        if term_id is None and (now.get("credits") is not None or now.get("permission_required")):
            raise CourseHasNoTerm
        if present is not None and (now["capacity"] or present.seats_taken) < present.seats_taken:
            raise CapacityBelowEnrollment
        if present is not None and (now["waitlist_capacity"] or present.waiting) < present.waiting:
            raise WaitlistCapacityBelowWaiting

    def change(self, row_id: int, values: Mapping[str, Any]) -> None:
        """Change a course; a raised capacity promotes students from its waitlist."""
        courses.change(row_id, values, None, self.context)
