"""The tables, one module per subject. The database judges last: every rule it can hold is a named constraint here.

Two groups of columns are never written by the service but by triggers (`triggers.py`): the counters of a course
and the ledger, `enrollment_events`. Migrations are history; these models say what is true now, and a test
compares the two. What columns are made of is in `database/types.py`.
"""

from sqlalchemy import event

from ..database import Base
from . import triggers
from .access import ApiKey, keys
from .courses import Course, courses
from .enrollments import (
    ENROLLED,
    HELD,
    STATUSES,
    UNENROLLED,
    WAITLISTED,
    StudentCourses,
    enrollments,
    is_held,
    queue_position,
)
from .ledger import EnrollmentEvent, events
from .operations import Lease, SchemaCompatibility, leases
from .people import (
    ADVISOR,
    REGISTRAR,
    ROLES,
    Account,
    Advisee,
    Person,
    PersonRole,
    accounts,
    advisees,
    people,
    person_roles,
)
from .students import Student, students

__all__ = [
    "ADVISOR",
    "ENROLLED",
    "HELD",
    "REGISTRAR",
    "ROLES",
    "STATUSES",
    "UNENROLLED",
    "WAITLISTED",
    "Account",
    "Advisee",
    "ApiKey",
    "Course",
    "EnrollmentEvent",
    "Lease",
    "Person",
    "PersonRole",
    "SchemaCompatibility",
    "Student",
    "StudentCourses",
    "accounts",
    "advisees",
    "courses",
    "enrollments",
    "events",
    "is_held",
    "keys",
    "leases",
    "people",
    "person_roles",
    "queue_position",
    "students",
]

event.listen(Base.metadata, "after_create", triggers.create)
