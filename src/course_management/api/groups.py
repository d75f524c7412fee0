"""Groups of students: programs, levels, standings and others."""

from __future__ import annotations

from ..access.policy import Access
from ..http.endpoints import Endpoints
from ..schemas.terms import GroupSchema
from ..services.terms import GROUP_RESOURCE
from .resources import ResourceAccess, ResourceRoutes

READ_ACCESS, WRITE_ACCESS = Access(scope="students:read"), Access(scope="students:write")
endpoints = Endpoints("groups", __name__, description="What students have in common, as windows and restrictions ask.")
routes = ResourceRoutes(
    endpoints,
    "group",
    GROUP_RESOURCE,
    GroupSchema,
    ResourceAccess(list=READ_ACCESS, read=READ_ACCESS, write=WRITE_ACCESS),
)
routes.register()
