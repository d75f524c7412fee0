"""The people and students that the subjects of tokens stand for: their accounts, their roles, and whom they advise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from ..database import AnyRow, autocommit, broken_constraint, sequences, transaction
from ..models import ADVISOR, REGISTRAR, accounts, advisees, people, person_roles
from .callers import Person


class NotPossible(Exception):
    """What was asked for contradicts what is there; the text is a sentence for a person."""


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


def _is(issuer: str, subject: str) -> ColumnElement[bool]:
    return and_(accounts.c.issuer == issuer, accounts.c.subject == subject)


def find(issuer: str, subject: str) -> Person | None:
    """Return the person or student whose account that is, or None."""
    rows = autocommit(_BY_SUBJECT, {"issuer": issuer, "subject": subject})
    if not rows:
        return None
    first = rows[0]
    roles = frozenset(row.role for row in rows if row.role is not None)
    return Person(
        _actor(first.person_id, roles, first.student_id),
        roles,
        first.student_id,
        frozenset(row.advisee_id for row in rows if row.advisee_id is not None),
    )


def _actor(person_id: int | None, roles: frozenset[str], student_id: int | None) -> str:
    """Name a caller for the ledger: by number and not by name or subject, because the ledger is kept for ever."""
    for role in (REGISTRAR, ADVISOR):
        if role in roles:
            return f"{role}:{person_id}"
    return f"person:{person_id}" if student_id is None else f"student:{student_id}"


def link_student(issuer: str, subject: str, student_id: int) -> None:
    """Say that `subject` is a student: with a new account, or, if it is a person's, as this person's second side.

    Raises `NotPossible`.
    """
    with transaction() as connection:
        found = connection.execute(
            select(people.c.id, people.c.student_id)
            .join(accounts, accounts.c.person_id == people.c.id)
            .where(_is(issuer, subject))
            .with_for_update(of=people)
        ).first()
        if found is None:
            _add_account(connection, issuer, subject, student_id=student_id)
            return
        if found.student_id is not None:
            raise NotPossible(f"This subject is student {found.student_id} already.")
        try:
            connection.execute(update(people).where(people.c.id == found.id).values(student_id=student_id))
        except IntegrityError as error:
            if broken_constraint(error) == "uq_people_student_id":
                raise NotPossible(f"Student {student_id} is another person already.") from None
            raise NotPossible(f"There is no student {student_id}.") from None


def appoint(issuer: str, subject: str, role: str, name: str | None = None) -> None:
    """Give the person with the account `subject` a role: `advisor` or `registrar`. Raises `NotPossible`.

    Without such an account, it makes one, and a person called `name` (default: the subject).
    """
    with transaction() as connection:
        found = connection.execute(select(accounts.c.person_id).where(_is(issuer, subject)).with_for_update()).first()
        if found is None:
            new = insert(people).values(name=(name or subject)[:200]).returning(people.c.id)
            person_id = connection.execute(new).scalar_one()
            _add_account(connection, issuer, subject, person_id=person_id)
        elif found.person_id is None:
            raise NotPossible("This subject is the account of a student; remove it first.")
        else:
            person_id = found.person_id
            has = select(person_roles).where(person_roles.c.person_id == person_id, person_roles.c.role == role)
            if connection.execute(has).first():
                raise NotPossible(f"This subject is {role} already.")
        connection.execute(insert(person_roles).values(person_id=person_id, role=role))


def _add_account(connection: Connection, issuer: str, subject: str, **owner: Any) -> None:
    try:
        connection.execute(insert(accounts).values(issuer=issuer, subject=subject, **owner))
    except IntegrityError as error:
        if broken_constraint(error) == "uq_accounts_issuer_subject":
            raise NotPossible("This subject has an account already; remove it first.") from None
        if sequences.without_ids(error) or "student_id" not in owner:
            raise
        raise NotPossible(f"There is no student {owner['student_id']}.") from None


def advise(issuer: str, subject: str, student_id: int) -> None:
    """Make an advisor the advisor of a student; doing so again changes nothing. Raises `NotPossible`."""
    with transaction() as connection:
        found = connection.execute(
            select(person_roles.c.person_id)
            .join(accounts, accounts.c.person_id == person_roles.c.person_id)
            .where(_is(issuer, subject), person_roles.c.role == ADVISOR)
            .with_for_update(of=person_roles)
        ).scalar()
        if found is None:
            raise NotPossible("This subject is no advisor.")
        known = select(func.count()).where(advisees.c.person_id == found, advisees.c.student_id == student_id)
        if connection.execute(known).scalar_one():
            return
        try:
            connection.execute(insert(advisees).values(person_id=found, student_id=student_id))
        except IntegrityError:
            raise NotPossible(f"There is no student {student_id}.") from None


def stop_advising(issuer: str, subject: str, student_id: int) -> bool:
    """Undo `advise`; return whether there was anything to undo."""
    person = select(accounts.c.person_id).where(_is(issuer, subject)).scalar_subquery()
    with transaction() as connection:
        gone = connection.execute(
            delete(advisees).where(advisees.c.person_id == person, advisees.c.student_id == student_id)
        )
        return bool(gone.rowcount)


def remove(issuer: str, subject: str) -> bool:
    """Delete an account, and its person if that was the last one; return whether there was one."""
    with transaction() as connection:
        found = connection.execute(select(accounts).where(_is(issuer, subject)).with_for_update()).first()
        if found is None:
            return False
        connection.execute(delete(accounts).where(accounts.c.id == found.id))
        if found.person_id is not None:
            others = select(accounts.c.id).where(accounts.c.person_id == found.person_id).exists()
            connection.execute(delete(people).where(people.c.id == found.person_id, ~others))
        return True


def everybody() -> Sequence[AnyRow]:
    """Return all accounts, oldest first: `issuer, subject, person_id, name, student_id, role, advised`.

    A person with several roles has a row for each; `advised` counts the students whom the person advises. `student_id`
    is that of the account or of the person.
    """
    advised = select(func.count()).where(advisees.c.person_id == people.c.id).scalar_subquery()
    return autocommit(
        select(
            accounts.c.issuer,
            accounts.c.subject,
            accounts.c.person_id,
            people.c.name,
            func.coalesce(accounts.c.student_id, people.c.student_id).label("student_id"),
            person_roles.c.role,
            advised.label("advised"),
        )
        .select_from(
            accounts.outerjoin(people, people.c.id == accounts.c.person_id).outerjoin(
                person_roles, person_roles.c.person_id == people.c.id
            )
        )
        .order_by(accounts.c.id, person_roles.c.role)
    )
