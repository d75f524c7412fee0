"""The rules of registration, in the order in which their reasons are given.

Each is said once, here, and asked by everything: enroll, replace, promotion, dry run, pages. To add a rule, write its
class in a module of this package and list it. The rules of a school follow them (`installed.py`).
"""

from __future__ import annotations

from ....errors import Reason
from ..situation import Course, Situation
from .base import Rule
from .catalog import AlreadyCompletedRule, OtherCourseOfEntryHeldRule, PrerequisiteMissingRule
from .courses import CourseClosedRule, PermissionRequiredRule, RestrictedRule
from .credits import CreditLimitRule, CreditsNotOfferedRule
from .holds import HoldRule
from .links import LinkedCourseMissingRule, NeededByCourseRule
from .timetable import TimeConflictRule
from .windows import DropClosedRule, RegistrationClosedRule, WaitlistClosedRule

RULES: tuple[Rule, ...] = (
    HoldRule(),
    RegistrationClosedRule(),
    CourseClosedRule(),
    RestrictedRule(),
    PermissionRequiredRule(),
    PrerequisiteMissingRule(),
    AlreadyCompletedRule(),
    OtherCourseOfEntryHeldRule(),
    LinkedCourseMissingRule(),
    TimeConflictRule(),
    CreditLimitRule(),
    CreditsNotOfferedRule(),
    WaitlistClosedRule(),
    DropClosedRule(),
    NeededByCourseRule(),
)
"""Ask for it as `rules.RULES`: when the app starts, the rules of installed packages are appended."""


def waivable() -> frozenset[str]:
    """Return the codes that a permission can waive."""
    return frozenset(rule.code for rule in RULES if rule.is_waivable)


def reasons(course: Course, situation: Situation) -> list[Reason]:
    """Return every reason of every rule against the course."""
    return [reason for rule in RULES for reason in rule.reasons(course, situation)]


__all__ = ["RULES", "Rule", "reasons", "waivable"]
