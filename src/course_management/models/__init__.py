"""The tables, one module per topic. The database decides last: every rule that it can enforce is a named constraint.

Triggers (`triggers/`) write the counters of a course and the ledger, `enrollment_events`; the service only reads
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
from .groups import CourseRestriction, Group, StudentGroup, course_restrictions, groups, student_groups
from .holds import BLOCKS, Hold, Permission, holds, permissions
from .ledger import EnrollmentEvent, RuleEvent, events, rule_events
from .operations import Lease, SchemaCompatibility, leases
from .people import (
    ADVISOR,
    REGISTRAR,
    ROLES,
    Account,
    Advisee,
    CourseInstructor,
    Person,
    PersonRole,
    accounts,
    advisees,
    course_instructors,
    people,
    person_roles,
)
from .students import Student, students
from .terms import RegistrationWindow, Term, registration_windows, terms

__all__ = [
    "ADVISOR",
    "BLOCKS",
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
    "CourseInstructor",
    "CourseRestriction",
    "EnrollmentEvent",
    "Group",
    "Hold",
    "Lease",
    "Permission",
    "Person",
    "PersonRole",
    "RegistrationWindow",
    "RuleEvent",
    "SchemaCompatibility",
    "Student",
    "StudentCourses",
    "StudentGroup",
    "Term",
    "accounts",
    "advisees",
    "course_instructors",
    "course_restrictions",
    "courses",
    "enrollments",
    "events",
    "groups",
    "holds",
    "is_held",
    "keys",
    "leases",
    "people",
    "permissions",
    "person_roles",
    "queue_position",
    "registration_windows",
    "rule_events",
    "student_groups",
    "students",
    "terms",
]

event.listen(Base.metadata, "after_create", triggers.create)
