"""Students."""

from __future__ import annotations

from ...schemas.students import StudentSchema
from ...services.students import STUDENT_RESOURCE as RESOURCE
from ..handlers import ResourceHandler
from ..kind import Kind, of_resource

STUDENT_KIND = Kind("students", of_resource(StudentSchema), ("external_id",), ("external_id name",))


class StudentHandler(ResourceHandler):
    """Creates and changes students."""

    kind, resource, schema = STUDENT_KIND, RESOURCE, StudentSchema
