"""The people and students that the subjects of tokens stand for, as authentication reads them."""

from __future__ import annotations

from sqlalchemy import bindparam, func, select

from ..database import autocommit
from ..models import ADVISOR, REGISTRAR, accounts, advisees, people, person_roles
from .callers import PersonCaller

_BY_SUBJECT = (
    select(
        accounts.c.person_id,
        func.coalesce(accounts.c.student_id, people.c.student_id).label("student_id"),
        person_roles.c.role,
        advisees.c.student_id.label("advisee_id"),
    )
    .select_from(
        accounts.outerjoin(people, people.c.id == accounts.c.person_id)
        .outerjoin(person_roles, person_roles.c.person_id == people.c.id)
        .outerjoin(advisees, advisees.c.person_id == people.c.id)
    )
    .where(accounts.c.issuer == bindparam("issuer"), accounts.c.subject == bindparam("subject"))
)


def find(issuer: str, subject: str) -> PersonCaller | None:
    """Return the person or student whose account that is, or None."""
    rows = autocommit(_BY_SUBJECT, {"issuer": issuer, "subject": subject})
    if not rows:
        return None
    first = rows[0]
    roles = frozenset(row.role for row in rows if row.role is not None)
    return PersonCaller(
        _actor(first.person_id, roles, first.student_id),
        roles,
        first.student_id,
        # A person who is no longer an advisor keeps the list, without effect.
        frozenset(row.advisee_id for row in rows if row.advisee_id is not None and ADVISOR in roles),
    )


def _actor(person_id: int | None, roles: frozenset[str], student_id: int | None) -> str:
    """Name a caller for the ledger: by id and not by name or subject, because the ledger is kept permanently."""
    for role in (REGISTRAR, ADVISOR):
        if role in roles:
            return f"{role}:{person_id}"
    return f"person:{person_id}" if student_id is None else f"student:{student_id}"
