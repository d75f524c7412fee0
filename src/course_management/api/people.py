"""People: the staff, their roles, whom they advise, and their accounts."""

from __future__ import annotations

from ..http.endpoints import Endpoints
from ..schemas.people import PersonSchema
from ..services.accounts import PERSON
from ..services.people import PERSON_RESOURCE
from .accounts import MANAGE_ACCESS, AccountRoutes
from .resources import ResourceAccess, ResourceRoutes

endpoints = Endpoints("people", __name__, description="The staff: their roles, whom they advise, and their accounts.")
routes = ResourceRoutes(
    endpoints,
    "person",
    PERSON_RESOURCE,
    PersonSchema,
    ResourceAccess(list=MANAGE_ACCESS, read=MANAGE_ACCESS, write=MANAGE_ACCESS),
)
routes.register()
AccountRoutes(endpoints, "person", PERSON)
