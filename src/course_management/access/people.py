"""The people and students that the subjects of tokens stand for, as authentication reads them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, String, Table, bindparam, func, literal, null, select, union_all

from ..database import autocommit
from ..models import ADVISOR, REGISTRAR, ROLES, accounts, advisees, course_instructors, people, person_roles
from .callers import PersonCaller

_ACCOUNT = (
    select(
        accounts.c.person_id,
        func.coalesce(accounts.c.student_id, people.c.student_id).label("student_id"),
    )
    .select_from(accounts.outerjoin(people, people.c.id == accounts.c.person_id))
    .where(accounts.c.issuer == bindparam("issuer"), accounts.c.subject == bindparam("subject"))
    .cte("account")
)


def _of_person(what: str, table: Table, column: ColumnElement[Any]) -> Select[Any]:
    """Select what one of the tables says of the person, a row for each."""
    return select(literal(what, String).label("what"), _ACCOUNT.c.person_id, column).join(
        table, table.c.person_id == _ACCOUNT.c.person_id
    )


# One after the other, not joined: the rows of a person's roles, advisees and courses would multiply.
_BY_SUBJECT = union_all(
    select(literal("student", String).label("what"), _ACCOUNT.c.person_id, _ACCOUNT.c.student_id.label("number")),
    _of_person(ADVISOR, person_roles, null()).where(person_roles.c.role == ADVISOR),
    _of_person(REGISTRAR, person_roles, null()).where(person_roles.c.role == REGISTRAR),
    _of_person("advises", advisees, advisees.c.student_id),
    _of_person("teaches", course_instructors, course_instructors.c.course_id),
)


def find(issuer: str, subject: str) -> PersonCaller | None:
    """Return the person or student whose account that is, or None."""
    rows = autocommit(_BY_SUBJECT, {"issuer": issuer, "subject": subject})
    if not rows:
        return None
    ids_by_relation: dict[str, set[int | None]] = {}
    for row in rows:
        ids_by_relation.setdefault(row.what, set()).add(row.number)
    roles = frozenset(ids_by_relation.keys() & ROLES)
    (student_id,) = ids_by_relation["student"]
    teaches = frozenset(filter(None, ids_by_relation.get("teaches", ())))
    # A person who is no longer an advisor keeps the list, without effect.
    advises = frozenset(filter(None, ids_by_relation.get("advises", ()))) if ADVISOR in roles else frozenset[int]()
    return PersonCaller(_actor(rows[0].person_id, roles, student_id, teaches), roles, student_id, advises, teaches)


def _actor(person_id: int | None, roles: frozenset[str], student_id: int | None, teaches: frozenset[int]) -> str:
    """Name a caller for the ledger: by id and not by name or subject, because the ledger is kept permanently."""
    for role in (REGISTRAR, ADVISOR):
        if role in roles:
            return f"{role}:{person_id}"
    if teaches:
        return f"instructor:{person_id}"
    return f"person:{person_id}" if student_id is None else f"student:{student_id}"
