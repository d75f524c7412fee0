"""The accounts of people: whom a token's subject stands for here, and whom an advisor advises."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, bindparam, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from ..database import AnyRow, autocommit, broken_constraint, sequences, transaction
from ..models import accounts, advisees
from .callers import Person


class NotPossible(Exception):
    """What was asked for contradicts what is there; the text is a sentence for a person."""


_BY_SUBJECT = (
    select(accounts.c.id, accounts.c.role, accounts.c.student_id, advisees.c.student_id.label("advisee_id"))
    .select_from(accounts.outerjoin(advisees, advisees.c.account_id == accounts.c.id))
    .where(accounts.c.issuer == bindparam("issuer"), accounts.c.subject == bindparam("subject"))
)


def _is(issuer: str, subject: str) -> ColumnElement[bool]:
    return and_(accounts.c.issuer == issuer, accounts.c.subject == subject)


def find(issuer: str, subject: str) -> Person | None:
    """Who that is here, or None: nobody."""
    rows = autocommit(_BY_SUBJECT, {"issuer": issuer, "subject": subject})
    if not rows:
        return None
    first = rows[0]
    if first.role == "student":
        return Person(f"student:{first.student_id}", student_id=first.student_id)
    # The account's number and not its subject, which may be a name: the ledger is for ever.
    advised = frozenset(row.advisee_id for row in rows if row.advisee_id is not None)
    return Person(f"{first.role}:{first.id}", frozenset([first.role]), advisees=advised)


def link_student(issuer: str, subject: str, student_id: int) -> None:
    """Make `subject` that student. Raises `NotPossible`."""
    _add(issuer, subject, "student", student_id)


def appoint(issuer: str, subject: str, role: str) -> None:
    """Make `subject` a member of the staff: `advisor` or `registrar`. Raises `NotPossible`."""
    _add(issuer, subject, role, None)


def _add(issuer: str, subject: str, role: str, student_id: int | None) -> None:
    try:
        with transaction() as connection:
            connection.execute(
                insert(accounts).values(issuer=issuer, subject=subject, role=role, student_id=student_id)
            )
    except IntegrityError as error:
        if broken_constraint(error) == "uq_accounts_issuer_subject":
            raise NotPossible("This subject has an account already; remove it first.") from None
        if sequences.without_ids(error):
            raise
        raise NotPossible(f"There is no student {student_id}.") from None


def advise(issuer: str, subject: str, student_id: int) -> None:
    """Name an advisor for a student; naming again changes nothing. Raises `NotPossible`."""
    advisor = select(accounts.c.id).where(_is(issuer, subject), accounts.c.role == "advisor")
    with transaction() as connection:
        found = connection.execute(advisor.with_for_update()).scalar()
        if found is None:
            raise NotPossible("This subject is no advisor.")
        known = select(func.count()).where(advisees.c.account_id == found, advisees.c.student_id == student_id)
        if connection.execute(known).scalar_one():
            return
        try:
            connection.execute(insert(advisees).values(account_id=found, student_id=student_id))
        except IntegrityError:
            raise NotPossible(f"There is no student {student_id}.") from None


def stop_advising(issuer: str, subject: str, student_id: int) -> bool:
    """Undo `advise`; whether there was anything to undo."""
    advisor = select(accounts.c.id).where(_is(issuer, subject))
    with transaction() as connection:
        gone = connection.execute(
            delete(advisees).where(
                advisees.c.account_id == advisor.scalar_subquery(), advisees.c.student_id == student_id
            )
        )
        return bool(gone.rowcount)


def remove(issuer: str, subject: str) -> bool:
    """Forget an account, and whom it advised; whether there was one."""
    with transaction() as connection:
        gone = connection.execute(delete(accounts).where(_is(issuer, subject)))
        return bool(gone.rowcount)


def everybody() -> Sequence[AnyRow]:
    """All accounts, oldest first: `id, issuer, subject, role, student_id, advised` (how many students)."""
    advised = select(func.count()).where(advisees.c.account_id == accounts.c.id).scalar_subquery()
    return autocommit(
        select(
            accounts.c.id,
            accounts.c.issuer,
            accounts.c.subject,
            accounts.c.role,
            accounts.c.student_id,
            advised.label("advised"),
        ).order_by(accounts.c.id)
    )
