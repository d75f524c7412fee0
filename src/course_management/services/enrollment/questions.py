"""The questions whose answers are the situation of a student: one query for each.

`loading.py` makes one statement of them. The parameters are `student`, `course_ids` (the courses of the request) and
`at`, the present time. An enrollment in a course without a term must not be an answer: it can change without raising
the schedule revision, by which `ENROLL_AS_DECIDED` notices what changed meanwhile.

The same table is asked in two questions where one would need a UNION or an OR, which cost PostgreSQL twice the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, null, or_, select

from ...database.types import among
from ...models import WAITLISTED, courses, enrollments, is_held, queue_position, students
from ...models.catalog import catalog_entries, completions, prerequisites
from ...models.groups import course_restrictions, groups, student_groups
from ...models.holds import holds, permissions
from ...models.terms import registration_windows, student_terms, terms
from ...models.timetable import course_links, course_meetings
from . import parameters


def _is_live(until: ColumnElement[Any], ended: ColumnElement[Any]) -> ColumnElement[bool]:
    return and_(ended.is_(None), or_(until.is_(None), until > parameters.at))


def _of_enrollments(*columns: ColumnElement[Any], course_id: ColumnElement[Any]) -> Select[Any]:
    """Select what belongs to the courses in which the student is enrolled or waitlisted."""
    return (
        select(*columns)
        .join(enrollments, enrollments.c.course_id == course_id)
        .where(enrollments.c.student_id == parameters.student_id, is_held(enrollments))
    )


_MEETING = [
    course_meetings.c[name] for name in ("course_id", "weekday", "starts_minute", "ends_minute", "starts_on", "ends_on")
]
_LINK = [course_links.c[name] for name in ("course_id", "group_number", "linked_id")]
_required = catalog_entries.alias("required")

QUESTIONS: Mapping[str, Select[Any]] = {
    "student": select(students.c.schedule_revision).where(students.c.id == parameters.student_id),
    "groups": select(student_groups.c.group_id).where(student_groups.c.student_id == parameters.student_id),
    "holds": select(holds.c.kind, holds.c.contact, holds.c.blocks).where(
        holds.c.student_id == parameters.student_id, _is_live(holds.c.until, holds.c.released_at)
    ),
    "permissions": select(permissions.c.course_id, permissions.c.rule).where(
        permissions.c.student_id == parameters.student_id,
        _is_live(permissions.c.expires_at, permissions.c.revoked_at),
    ),
    "limits": select(student_terms.c.term_id, student_terms.c.credit_limit).where(
        student_terms.c.student_id == parameters.student_id
    ),
    "completions": select(completions.c.catalog_id, completions.c.points).where(
        completions.c.student_id == parameters.student_id, completions.c.passed
    ),
    "enrollments": select(
        enrollments.c.course_id,
        enrollments.c.status,
        enrollments.c.passed_over_at,
        func.coalesce(enrollments.c.credits, 0).label("credits"),
        courses.c.catalog_id,
        courses.c.component,
        terms.c.id.label("term_id"),
        terms.c.code.label("term_code"),
        terms.c.starts_on,
        terms.c.ends_on,
    )
    .join(courses, courses.c.id == enrollments.c.course_id)
    .join(terms, terms.c.id == courses.c.term_id)
    .where(enrollments.c.student_id == parameters.student_id, is_held(enrollments)),
    "meetings_of_enrollments": _of_enrollments(*_MEETING, course_id=course_meetings.c.course_id),
    "links_of_enrollments": _of_enrollments(*_LINK, course_id=course_links.c.course_id),
    "courses": select(
        courses.c.id.label("course_id"),
        courses.c.capacity,
        courses.c.waitlist_capacity,
        courses.c.seats_taken,
        courses.c.waiting,
        courses.c.passed_over_count,
        courses.c.closed_at,
        courses.c.permission_required,
        courses.c.component,
        func.coalesce(courses.c.credits, 0).label("least_credits"),
        func.coalesce(courses.c.credits_max, courses.c.credits, 0).label("most_credits"),
        courses.c.catalog_id,
        catalog_entries.c.courses_per_term,
        catalog_entries.c.completions_allowed,
        enrollments.c.status,
        enrollments.c.credits,
        case((enrollments.c.status == literal(WAITLISTED), queue_position(enrollments, courses)), else_=null()).label(
            "position"
        ),
        terms.c.id.label("term_id"),
        terms.c.code.label("term_code"),
        terms.c.starts_on,
        terms.c.ends_on,
        terms.c.credit_limit,
        terms.c.drop_until,
        terms.c.withdraw_until,
        terms.c.promote_until,
    )
    .select_from(
        courses.outerjoin(terms, terms.c.id == courses.c.term_id)
        .outerjoin(catalog_entries, catalog_entries.c.id == courses.c.catalog_id)
        .outerjoin(
            enrollments,
            and_(
                enrollments.c.student_id == parameters.student_id,
                enrollments.c.course_id == courses.c.id,
                is_held(enrollments),
            ),
        )
    )
    .where(among(courses.c.id, parameters.course_ids)),
    "windows": select(
        registration_windows.c.term_id,
        registration_windows.c.group_id,
        registration_windows.c.opens_at,
        registration_windows.c.closes_at,
    ).where(
        registration_windows.c.term_id.in_(select(courses.c.term_id).where(among(courses.c.id, parameters.course_ids)))
    ),
    "restrictions": select(
        course_restrictions.c.course_id,
        course_restrictions.c.group_id,
        groups.c.kind,
        groups.c.code,
        course_restrictions.c.admits,
    )
    .join(groups, groups.c.id == course_restrictions.c.group_id)
    .where(among(course_restrictions.c.course_id, parameters.course_ids)),
    "meetings": select(*_MEETING).where(among(course_meetings.c.course_id, parameters.course_ids)),
    "links": select(*_LINK).where(among(course_links.c.course_id, parameters.course_ids)),
    "prerequisites": select(
        courses.c.id,
        prerequisites.c.group_number,
        prerequisites.c.required_id,
        prerequisites.c.required_group_id,
        func.coalesce(_required.c.code, groups.c.code),
        prerequisites.c.minimum_points,
        prerequisites.c.minimum_grade,
        prerequisites.c.concurrent_allowed,
        prerequisites.c.id,
    )
    .select_from(
        courses.join(prerequisites, prerequisites.c.catalog_id == courses.c.catalog_id)
        .outerjoin(_required, _required.c.id == prerequisites.c.required_id)
        .outerjoin(groups, groups.c.id == prerequisites.c.required_group_id)
    )
    .where(among(courses.c.id, parameters.course_ids)),
}
"""By name; `loading.py` makes a `Situation` of their rows."""
