"""The kinds of records that files have, whatever their format: one file and one class per kind.

To add a kind, write a file that describes its columns (`Kind`) and a class that decides and writes its rows
(`handlers`), and add the class to `HANDLERS`. The command line then has a template of it, files with its signature are
recognized, and formats of other systems can yield records of it.
"""

from __future__ import annotations

from ..handlers import KindHandler
from ..kind import Kind
from .accounts import ACCOUNTS, AccountHandler
from .catalog import CATALOG, CatalogHandler
from .completions import COMPLETIONS, CompletionHandler
from .courses import COURSES, CourseHandler
from .enrollments import ENROLLMENTS
from .groups import GROUPS, GroupHandler
from .holds import HOLDS, HoldHandler
from .instructors import INSTRUCTORS, InstructorHandler
from .limits import LIMITS, LimitHandler
from .links import LINKS, LinkHandler
from .meetings import MEETINGS, MeetingHandler
from .members import MEMBERS, MemberHandler
from .people import PEOPLE, PersonHandler
from .permissions import PERMISSIONS, PermissionHandler
from .prerequisites import PREREQUISITES, PrerequisiteHandler
from .restrictions import RESTRICTIONS, RestrictionHandler
from .students import STUDENTS, StudentHandler
from .terms import TERMS, TermHandler

HANDLERS: tuple[type[KindHandler], ...] = (
    TermHandler,
    GroupHandler,
    CatalogHandler,
    PrerequisiteHandler,
    CourseHandler,
    MeetingHandler,
    RestrictionHandler,
    LinkHandler,
    StudentHandler,
    MemberHandler,
    PersonHandler,
    InstructorHandler,
    AccountHandler,
    CompletionHandler,
    HoldHandler,
    PermissionHandler,
    LimitHandler,
)
"""In the order in which they are written: a record names only records of kinds before it. Enrollments come last."""
KINDS: tuple[Kind, ...] = (*(handler.kind for handler in HANDLERS), ENROLLMENTS)

__all__ = [
    "ACCOUNTS",
    "CATALOG",
    "COMPLETIONS",
    "COURSES",
    "ENROLLMENTS",
    "GROUPS",
    "HANDLERS",
    "HOLDS",
    "INSTRUCTORS",
    "KINDS",
    "LIMITS",
    "LINKS",
    "MEETINGS",
    "MEMBERS",
    "PEOPLE",
    "PERMISSIONS",
    "PREREQUISITES",
    "RESTRICTIONS",
    "STUDENTS",
    "TERMS",
    "Kind",
]
