"""The kinds of records that files have, whatever their format: one file and one class per kind.

To add a kind, write a file that describes its columns (`Kind`) and a class that decides and writes its rows
(`handlers`), and add the class to `HANDLERS`. The command line then has a template of it, files with its signature are
recognized, and formats of other systems can yield records of it.
"""

from __future__ import annotations

from ..handlers import KindHandler
from ..kind import Kind
from .accounts import ACCOUNT_KIND, AccountHandler
from .catalog import CATALOG_KIND, CatalogHandler
from .completions import COMPLETION_KIND, CompletionHandler
from .courses import COURSE_KIND, CourseHandler
from .enrollments import ENROLLMENT_KIND
from .groups import GROUP_KIND, GroupHandler
from .holds import HOLD_KIND, HoldHandler
from .instructors import INSTRUCTOR_KIND, InstructorHandler
from .limits import LIMIT_KIND, LimitHandler
from .links import LINK_KIND, LinkHandler
from .meetings import MEETING_KIND, MeetingHandler
from .members import MEMBER_KIND, MemberHandler
from .people import PERSON_KIND, PersonHandler
from .permissions import PERMISSION_KIND, PermissionHandler
from .prerequisites import PREREQUISITE_KIND, PrerequisiteHandler
from .restrictions import RESTRICTION_KIND, RestrictionHandler
from .students import STUDENT_KIND, StudentHandler
from .terms import TERM_KIND, TermHandler

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
KINDS: tuple[Kind, ...] = (*(handler.kind for handler in HANDLERS), ENROLLMENT_KIND)

__all__ = [
    "ACCOUNT_KIND",
    "CATALOG_KIND",
    "COMPLETION_KIND",
    "COURSE_KIND",
    "ENROLLMENT_KIND",
    "GROUP_KIND",
    "HANDLERS",
    "HOLD_KIND",
    "INSTRUCTOR_KIND",
    "KINDS",
    "LIMIT_KIND",
    "LINK_KIND",
    "MEETING_KIND",
    "MEMBER_KIND",
    "PERMISSION_KIND",
    "PERSON_KIND",
    "PREREQUISITE_KIND",
    "RESTRICTION_KIND",
    "STUDENT_KIND",
    "TERM_KIND",
    "Kind",
]
