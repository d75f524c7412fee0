"""The ledger of what the rules of registration ask about a student: its holds, permissions, completions and others."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from ..context import RequestContext
from ..database.types import as_number
from ..models import RuleEvent


def record(
    session: Session,
    context: RequestContext,
    student_id: int,
    subject: tuple[str, int],
    change: str,
    facts: Mapping[str, Any],
) -> None:
    """Write a line, in the transaction of the change. `subject` is what changed, and its id."""
    kind, subject_id = subject
    written = {name: _written(value) for name, value in facts.items()}
    session.add(
        RuleEvent(
            student_id=student_id,
            subject=kind,
            subject_id=subject_id,
            change=change,
            facts=written,
            actor=context.caller.actor,
            request_id=context.request_id,
        )
    )


def _written(value: Any) -> Any:
    if isinstance(value, Decimal):
        return as_number(value)
    return value.isoformat() if isinstance(value, date | datetime) else value
