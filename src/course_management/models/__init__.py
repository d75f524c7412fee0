"""The tables, one module per topic. The database decides last: every rule that it can enforce is a named constraint.

Triggers (`triggers/`) write the counters of a course and the ledger, `enrollment_events`; the service only reads
them. The models describe the present schema; a test compares them with the result of the migrations. The types of
columns are in `database/types.py`.
"""

from sqlalchemy import event

from ..database import Base
from . import triggers
from .catalog import CatalogEntry, Completion, Prerequisite, catalog_entries, completions, prerequisites
from .courses import Course, courses
from .enrollments import (
    ENROLLED,
    HELD,
    HUNDREDTHS,
    STATUSES,
    UNENROLLED,
    WAITLISTED,
    WITHDRAWN,
    StudentCourses,
    enrollments,
    is_held,
    queue_position,
)
from .groups import CourseRestriction, Group, StudentGroup, course_restrictions, groups, student_groups
from .holds import BLOCKS, Hold, Permission, holds, permissions
from .imports import (
    APPLIED,
    APPLYING,
    PLANNED,
    PLANNING,
    READING,
    Import,
    ImportRow,
    import_rows,
    imports,
    was_accepted,
)
from .keys import ApiKey, keys
from .ledger import ERASED, EnrollmentEvent, RuleEvent, events, rule_events
from .operations import Lease, SchemaCompatibility, Verification, leases, verifications
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
from .sessions import (
    PROTECTED,
    PageSession,
    PlannedCourse,
    SignInLink,
    planned_courses,
    sessions,
    sign_in_links,
)
from .students import Student, students
from .terms import RegistrationWindow, StudentTerm, Term, registration_windows, student_terms, terms
from .timetable import CourseLink, CourseMeeting, course_links, course_meetings

__all__ = [
    "ADVISOR",
    "APPLIED",
    "APPLYING",
    "BLOCKS",
    "ENROLLED",
    "ERASED",
    "HELD",
    "HUNDREDTHS",
    "PLANNED",
    "PLANNING",
    "PROTECTED",
    "READING",
    "REGISTRAR",
    "ROLES",
    "STATUSES",
    "UNENROLLED",
    "WAITLISTED",
    "WITHDRAWN",
    "Account",
    "Advisee",
    "ApiKey",
    "CatalogEntry",
    "Completion",
    "Course",
    "CourseInstructor",
    "CourseLink",
    "CourseMeeting",
    "CourseRestriction",
    "EnrollmentEvent",
    "Group",
    "Hold",
    "Import",
    "ImportRow",
    "Lease",
    "PageSession",
    "Permission",
    "Person",
    "PersonRole",
    "PlannedCourse",
    "Prerequisite",
    "RegistrationWindow",
    "RuleEvent",
    "SchemaCompatibility",
    "SignInLink",
    "Student",
    "StudentCourses",
    "StudentGroup",
    "StudentTerm",
    "Term",
    "Verification",
    "accounts",
    "advisees",
    "catalog_entries",
    "completions",
    "course_instructors",
    "course_links",
    "course_meetings",
    "course_restrictions",
    "courses",
    "enrollments",
    "events",
    "groups",
    "holds",
    "import_rows",
    "imports",
    "is_held",
    "keys",
    "leases",
    "people",
    "permissions",
    "person_roles",
    "planned_courses",
    "prerequisites",
    "queue_position",
    "registration_windows",
    "rule_events",
    "sessions",
    "sign_in_links",
    "student_groups",
    "student_terms",
    "students",
    "terms",
    "verifications",
    "was_accepted",
]

event.listen(Base.metadata, "after_create", triggers.create)
