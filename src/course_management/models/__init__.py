"""The tables, one module per subject. The database decides last: every rule that it can enforce is a named constraint.

Triggers (`triggers.py`) write the counters of a course and the ledger, `enrollment_events`; the service only reads
them. The models describe the present schema; a test compares them with the result of the migrations. The types of
columns are in `database/types.py`.
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
