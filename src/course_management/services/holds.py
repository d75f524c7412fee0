"""Holds: place and release them. A released hold stays in the table, and the ledger has a line of each change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from ..context import RequestContext
from ..database import retried, writing
from ..database.types import utcnow
from ..errors import HoldNotFound, StudentNotFound
from ..models import Hold, Student
from .enrollment import promote
from .passed_over_marks import lock_and_raise_revision, reconsider_student
from .rule_ledger import record

FACTS = ("kind", "contact", "blocks", "until")
"""What the ledger keeps of a hold. The note stays in its row, which is deleted with the student."""


@retried(repeatable=False)
def place(student_id: int, values: Mapping[str, Any], context: RequestContext) -> Hold:
    """Place a hold on a student, and return it. Raises `StudentNotFound`."""
    with writing() as session:
        lock_and_raise_revision(session, student_id)
        hold = Hold(student_id=student_id, placed_by=context.caller.actor, **values)
        session.add(hold)
        session.flush()
        _record(session, context, hold, "placed")
        return hold


def release(student_id: int, hold_id: int, context: RequestContext) -> None:
    """Release a hold, and promote the student where a waitlist waited for that; doing so again changes nothing.

    Raises `StudentNotFound`, `HoldNotFound`.
    """
    promote(_release(student_id, hold_id, context), context)


@retried(repeatable=True)
def _release(student_id: int, hold_id: int, context: RequestContext) -> list[int]:
    with writing() as session:
        hold = session.get(Hold, hold_id)
        if hold is None or hold.student_id != student_id:
            raise HoldNotFound if session.get(Student, student_id) else StudentNotFound
        if hold.released_at:
            return []
        course_ids = reconsider_student(session, student_id)
        session.refresh(hold)  # another request may have released it before this one had the lock
        if hold.released_at is None:
            hold.released_at, hold.released_by = utcnow(), context.caller.actor
            _record(session, context, hold, "released")
        return course_ids


def _record(session: Session, context: RequestContext, hold: Hold, change: str) -> None:
    facts = {name: getattr(hold, name) for name in FACTS}
    record(session, context, hold.student_id, ("hold", hold.id), change, facts)
