"""The people and students behind tokens and sessions, as authentication reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    Select,
    String,
    Table,
    bindparam,
    func,
    literal,
    null,
    select,
    union_all,
)

from ..database import AnyRow, autocommit, travels
from ..database.types import Id
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
_PERSON = (
    select(people.c.id.label("person_id"), people.c.student_id)
    .where(people.c.id == bindparam("person", type_=Id))
    .cte("account")
)


def _whole(of: CTE) -> CompoundSelect[Any]:
    """Select what the tables say of the person or student that `of` selects: `what, person_id, number`, by rows.

    One table after the other, not joined: the rows of a person's roles, advisees and courses would multiply.
    """

    def of_person(what: str, table: Table, column: ColumnElement[Any]) -> Select[Any]:
        return select(literal(what, String).label("what"), of.c.person_id, column).join(
            table, table.c.person_id == of.c.person_id
        )

    return union_all(
        select(literal("student", String).label("what"), of.c.person_id, of.c.student_id.label("number")),
        of_person(ADVISOR, person_roles, null()).where(person_roles.c.role == ADVISOR),
        of_person(REGISTRAR, person_roles, null()).where(person_roles.c.role == REGISTRAR),
        of_person("advises", advisees, advisees.c.student_id),
        of_person("teaches", course_instructors, course_instructors.c.course_id),
    )


_BY_SUBJECT, _BY_ID = travels(_whole(_ACCOUNT)), travels(_whole(_PERSON))
_OWNER = select(accounts.c.id.label("account_id"), accounts.c.person_id, accounts.c.student_id).where(
    accounts.c.issuer == bindparam("issuer"), accounts.c.subject == bindparam("subject")
)


def owner_of(issuer: str, subject: str) -> AnyRow | None:
    """Return `account_id`, and `person_id` or `student_id`, of an account; None if there is none."""
    return next(iter(autocommit(_OWNER, {"issuer": issuer, "subject": subject})), None)


def of_session(person_id: int | None, student_id: int | None) -> PersonCaller | None:
    """Return the person or the student with this id; None if there is no such person any more."""
    if person_id is None:
        return None if student_id is None else PersonCaller(f"student:{student_id}", student_id=student_id)
    return _caller(autocommit(_BY_ID, {"person": person_id}))


def find(issuer: str, subject: str) -> PersonCaller | None:
    """Return the person or student whose account that is, or None."""
    return _caller(autocommit(_BY_SUBJECT, {"issuer": issuer, "subject": subject}))


def _caller(rows: Sequence[AnyRow]) -> PersonCaller | None:
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
