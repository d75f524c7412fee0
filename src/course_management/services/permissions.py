"""Permissions: grant and revoke them. A revoked one stays in the table, and the ledger has a line of each change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..context import RequestContext
from ..database import retried, writing
from ..database.types import utcnow
from ..errors import PermissionExists, PermissionNotFound, StudentNotFound, ValidationFailed
from ..models import Permission, Student, courses
from . import refusing
from .enrollment import promote
from .enrollment.rules import waivable
from .passed_over_marks import reconsider_student
from .resources import errors_of_unknown_ids
from .rule_ledger import record

FACTS = ("course_id", "rule", "reason", "expires_at")
"""What the ledger keeps of a permission."""


def grant(student_id: int, values: Mapping[str, Any], context: RequestContext) -> Permission:
    """Waive a rule for a student in a course, return the permission, and promote the student if that lets it.

    `values` are `course_id`, `rule`, `reason`, `expires_at`. Raises `StudentNotFound`, `PermissionExists`, and
    `ValidationFailed` for a course that does not exist and for a code that cannot be waived.
    """
    permission, course_ids = _grant(student_id, values, context)
    promote(course_ids, context)
    return permission


@retried(repeatable=False)
def _grant(student_id: int, values: Mapping[str, Any], context: RequestContext) -> tuple[Permission, list[int]]:
    with refusing({"uq_permissions_student_id_course_id_rule": PermissionExists}), writing() as session:
        errors = errors_of_unknown_ids(session, courses.c.id, {"/course_id": values["course_id"]})
        if values["rule"] not in waivable():
            errors.append({"pointer": "/rule", "detail": f"Must be one of: {', '.join(sorted(waivable()))}."})
        course_ids = reconsider_student(session, student_id)
        if errors:
            raise ValidationFailed(errors=errors)
        return add(session, student_id, values, context), course_ids


def add(session: Session, student_id: int, values: Mapping[str, Any], context: RequestContext) -> Permission:
    """Add a permission and its line in the ledger, in a transaction that has locked the student.

    An expired one that is not revoked gives way. Raises `PermissionExists`.
    """
    _end_expired(session, context, student_id, values)
    permission = Permission(student_id=student_id, granted_by=context.caller.actor, **values)
    session.add(permission)
    session.flush()
    _record(session, context, permission, "granted")
    return permission


def _end_expired(session: Session, context: RequestContext, student_id: int, values: Mapping[str, Any]) -> None:
    """End an expired permission that is in the way. Raises `PermissionExists` if it has not expired."""
    same = {name: values[name] for name in ("course_id", "rule")}
    present = session.scalar(select(Permission).filter_by(student_id=student_id, revoked_at=None, **same))
    if present is None:
        return
    if present.expires_at is None or present.expires_at > utcnow():
        raise PermissionExists(existing_id=present.id)
    _end(session, context, present, "expired")
    session.flush()


def revoke(
    student_id: int, permission_id: int, context: RequestContext, *, course_ids: Collection[int] | None = None
) -> None:
    """Revoke a permission; doing so again changes nothing.

    With `course_ids`, only those of these courses are found. Raises `PermissionNotFound` and, without `course_ids`,
    `StudentNotFound`.
    """
    promote(_revoke(student_id, permission_id, context, course_ids), context)


@retried(repeatable=True)
def _revoke(
    student_id: int, permission_id: int, context: RequestContext, course_ids: Collection[int] | None
) -> list[int]:
    with writing() as session:
        permission = session.get(Permission, permission_id)
        if permission is None or permission.student_id != student_id or not _is_among(permission, course_ids):
            is_known = course_ids is not None or session.get(Student, student_id) is not None
            raise PermissionNotFound if is_known else StudentNotFound
        if permission.revoked_at:
            return []
        reconsidered = reconsider_student(session, student_id)
        session.refresh(permission)  # another request may have revoked it before this one had the lock
        if permission.revoked_at is None:
            _end(session, context, permission, "revoked")
        return reconsidered


def _is_among(permission: Permission, course_ids: Collection[int] | None) -> bool:
    return course_ids is None or permission.course_id in course_ids


def _end(session: Session, context: RequestContext, permission: Permission, change: str) -> None:
    permission.revoked_at, permission.revoked_by = utcnow(), context.caller.actor
    _record(session, context, permission, change)


def _record(session: Session, context: RequestContext, permission: Permission, change: str) -> None:
    facts = {name: getattr(permission, name) for name in FACTS}
    record(session, context, permission.student_id, ("permission", permission.id), change, facts)
