"""Staff."""

from __future__ import annotations

from typing import ClassVar

from ...schemas.people import PersonSchema
from ...services.people import PEOPLE as RESOURCE
from ..handlers import ResourceHandler
from ..kind import Kind, Reference, of_resource

PEOPLE = Kind(
    "people",
    of_resource(PersonSchema, "student_id", "advises", student=Reference()),
    ("external_id",),
    ("external_id name roles", "external_id name given_name"),
)


class PersonHandler(ResourceHandler):
    """Creates and changes people of the staff."""

    kind, resource, schema = PEOPLE, RESOURCE, PersonSchema
    references: ClassVar = {"student": "student"}
