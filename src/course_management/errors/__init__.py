"""The tree of refusals: one class, one code, one status, one sentence. Imports nothing of the other packages.

A service refuses by raising one of these, without knowing HTTP; `http/problems.py` makes an
`application/problem+json` of it. A `Reason` is one of several inside one refusal: why a student cannot enroll in this
course. Each code has a page, `/problems/<code-with-dashes>`, made from its class.

base        what every code has
requests    the request cannot be understood
access      the caller is not known, or not permitted
students, courses, enrollment, people, terms, catalog, holds, keys   refusals by topic
service     the service cannot carry it out
"""

from .access import Forbidden, IssuerUnavailable, ProtectedMode, SignInFailed, TooManyRequests, Unauthenticated
from .base import CodeTaken, Conflict, ErrorCode, ExternalIdTaken, Problem, Reason, all_codes
from .catalog import CatalogEntryInUse, CatalogEntryNotFound, CourseIsLinked, StudentHasCompletions
from .courses import (
    CapacityBelowEnrollment,
    CourseHasEnrollments,
    CourseNotFound,
    WaitlistCapacityBelowWaiting,
)
from .enrollment import CourseFull, EnrollmentRefused, UnenrollmentRefused, UnknownCourse, WaitlistFull
from .holds import HoldNotFound, PermissionExists, PermissionNotFound
from .keys import KeyEnded, KeyNotFound, TooManyKeys
from .people import AccountNotFound, AccountTaken, PersonNotFound, StudentIdTaken
from .requests import (
    BadRequest,
    HeadersTooLarge,
    LengthRequired,
    MalformedJson,
    MalformedPrecondition,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    PreconditionFailed,
    UnsupportedMediaType,
    UriTooLong,
    ValidationFailed,
)
from .service import DatabaseUnavailable, InternalError, Overloaded
from .students import EmailTaken, PlanFull, StudentHasEnrollments, StudentNotFound
from .terms import CourseHasNoTerm, GroupInUse, GroupNotFound, TermHasCourses, TermIsFixed, TermNotFound

__all__ = [
    "AccountNotFound",
    "AccountTaken",
    "BadRequest",
    "CapacityBelowEnrollment",
    "CatalogEntryInUse",
    "CatalogEntryNotFound",
    "CodeTaken",
    "Conflict",
    "CourseFull",
    "CourseHasEnrollments",
    "CourseHasNoTerm",
    "CourseIsLinked",
    "CourseNotFound",
    "DatabaseUnavailable",
    "EmailTaken",
    "EnrollmentRefused",
    "ErrorCode",
    "ExternalIdTaken",
    "Forbidden",
    "GroupInUse",
    "GroupNotFound",
    "HeadersTooLarge",
    "HoldNotFound",
    "InternalError",
    "IssuerUnavailable",
    "KeyEnded",
    "KeyNotFound",
    "LengthRequired",
    "MalformedJson",
    "MalformedPrecondition",
    "MethodNotAllowed",
    "NotFound",
    "Overloaded",
    "PayloadTooLarge",
    "PermissionExists",
    "PermissionNotFound",
    "PersonNotFound",
    "PlanFull",
    "PreconditionFailed",
    "Problem",
    "ProtectedMode",
    "Reason",
    "SignInFailed",
    "StudentHasCompletions",
    "StudentHasEnrollments",
    "StudentIdTaken",
    "StudentNotFound",
    "TermHasCourses",
    "TermIsFixed",
    "TermNotFound",
    "TooManyKeys",
    "TooManyRequests",
    "Unauthenticated",
    "UnenrollmentRefused",
    "UnknownCourse",
    "UnsupportedMediaType",
    "UriTooLong",
    "ValidationFailed",
    "WaitlistCapacityBelowWaiting",
    "WaitlistFull",
    "all_codes",
]
