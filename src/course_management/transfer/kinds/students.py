"""Students."""

from __future__ import annotations

from ...schemas.students import StudentSchema
from ...services.students import STUDENTS as RESOURCE
from ..handlers import ResourceHandler
from ..kind import Kind, of_resource

STUDENTS = Kind("students", of_resource(StudentSchema), ("external_id",), ("external_id name",))


class StudentHandler(ResourceHandler):
    """Creates and changes students."""

    kind, resource, schema = STUDENTS, RESOURCE, StudentSchema
