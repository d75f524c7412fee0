"""Terms, and the windows in which students register for their courses."""

from __future__ import annotations

from ..access.policy import Access
from ..http.endpoints import Endpoints
from ..schemas.terms import WINDOWS_BODY, WINDOWS_EXAMPLE, TermSchema, Window
from ..services.terms import TERM_RESOURCE, WINDOW_LIST
from .owned_lists import OwnedListRoutes
from .resources import ResourceAccess, ResourceRoutes

READ_ACCESS, WRITE_ACCESS = Access(scope="courses:read", every_person=True), Access(scope="courses:write")
endpoints = Endpoints("terms", __name__, description="Periods in which courses run, and their registration windows.")
routes = ResourceRoutes(
    endpoints, "term", TERM_RESOURCE, TermSchema, ResourceAccess(list=READ_ACCESS, read=READ_ACCESS, write=WRITE_ACCESS)
)
routes.register()
OwnedListRoutes(
    owned_list=WINDOW_LIST,
    name="windows",
    title="registration windows of a term",
    body=WINDOWS_BODY,
    item=Window,
    example=WINDOWS_EXAMPLE,
    read_access=READ_ACCESS,
    write_access=WRITE_ACCESS,
    more=(
        "A student can register for the courses of the term while one of the student's windows is open: one of a group "
        "of the student, or one of all students (`group_id` null). Windows may overlap and lie in the past. A term "
        "without windows is closed to all students."
    ),
).register(endpoints)
