"""Staff."""

from __future__ import annotations

from typing import ClassVar

from ...schemas.people import PersonSchema
from ...services.people import PERSON_RESOURCE as RESOURCE
from ..handlers import ResourceHandler
from ..kind import Kind, Reference, of_resource

PERSON_KIND = Kind(
    "people",
    of_resource(PersonSchema, "student_id", "advises", student=Reference()),
    ("external_id",),
    ("external_id name roles", "external_id name given_name"),
)


class PersonHandler(ResourceHandler):
    """Creates and changes people of the staff."""

    kind, resource, schema = PERSON_KIND, RESOURCE, PersonSchema
    references: ClassVar = {"student": "student"}
