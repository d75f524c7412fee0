"""What a course itself says about who takes it: closed, restricted to groups, by permission only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ..situation import Course, Situation
from .base import JOINING, Facts, Rule, RuleGuide


class CourseClosedRule(Rule):
    """A course that is closed or canceled takes no more students; those who are enrolled stay."""

    code, title = "course_closed", "Course closed"
    meaning = "The course was closed or canceled, and takes no students."
    remedy = "Choose another course, or ask the registrar."
    example: ClassVar[Facts] = {"closed_at": "2026-09-01T08:00:00Z"}
    guide = RuleGuide(
        section="courses-of-a-term",
        resolution='open the course with `"closed": false`',
        data="courses",
        facts={"closed_at": "when"},
    )
    applies_to = JOINING
    needs_term = False

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield when the course was closed."""
        if course.closed_at is not None:
            yield {"closed_at": course.closed_at}


class RestrictedRule(Rule):
    """A course may be restricted to groups: programs, levels, standings, campuses.

    Of each kind with admitting groups, the student must be in one; the student must be in no group that is excluded.
    """

    code, title = "restricted", "Restricted"
    meaning = "The course is restricted to students of other groups."
    remedy = "`admits` and `excludes` list the groups. If they are not up to date for the student, ask the registrar."
    example: ClassVar[Facts] = {"kind": "program", "admits": ["CS", "MATH"], "excludes": ["EXCHANGE"]}
    guide = RuleGuide(
        section="groups-and-restrictions",
        resolution="correct the student's groups or the restrictions",
        data="groups, members, restrictions",
        facts={
            "kind": "of the groups",
            "admits": "codes of the groups, one of which is needed",
            "excludes": "codes of the groups that are not admitted",
        },
    )
    applies_to = JOINING

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield, for each kind that does not admit the student, the groups it admits and excludes."""
        for kind in sorted({restriction.kind for restriction in course.restrictions}):
            of_kind = [restriction for restriction in course.restrictions if restriction.kind == kind]
            admits = [group for group in of_kind if group.admits]
            excludes = [group for group in of_kind if not group.admits]
            is_admitted = not admits or any(group.group_id in situation.group_ids for group in admits)
            if not is_admitted or any(group.group_id in situation.group_ids for group in excludes):
                yield {
                    "kind": kind,
                    "admits": sorted(group.code for group in admits),
                    "excludes": sorted(group.code for group in excludes),
                }


class PermissionRequiredRule(Rule):
    """A course may require the permission of its instructor, an advisor or the registrar."""

    code, title = "permission_required", "Permission required"
    meaning = "The course requires a permission, and the student has none."
    remedy = "Ask the instructor of the course, the student's advisor or the registrar to grant it."
    guide = RuleGuide(
        section="permissions",
        resolution="set `permission_required` to false",
        data="courses, permissions",
    )
    applies_to = JOINING

    def against(self, course: Course, situation: Situation) -> Iterator[Facts]:
        """Yield that a permission is required."""
        if course.permission_required:
            yield {}
