"""People as a resource; and the changes of the command line, which knows people by the subject of an account."""

from __future__ import annotations

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from ..database import retried, writing
from ..errors import AccountTaken, ExternalIdTaken, PersonNotFound, StudentIdTaken, StudentNotFound
from ..models import ADVISOR, Account, Person, Student
from . import refusing
from .resources import Resource

PERSON_RESOURCE = Resource(
    model=Person,
    not_found=PersonNotFound,
    refusal_if_taken={"external_id": ExternalIdTaken, "student_id": StudentIdTaken},
)
_REFUSALS = {**PERSON_RESOURCE.constraints, "uq_accounts_issuer_subject": AccountTaken}


class PersonConflict(Exception):
    """The change contradicts the present state; the text is an error message."""


@retried(repeatable=False)
def link_student(issuer: str, subject: str, student_id: int) -> None:
    """Say that a subject is a student: by a new account, or if it is a person's account, by the person's `student_id`.

    Raises `StudentNotFound`, `StudentIdTaken`, `AccountTaken`, `PersonConflict`.
    """
    with refusing(_REFUSALS), writing() as session:
        _lock_student(session, student_id)
        person = _person(session, issuer, subject)
        if person is None:
            session.add(Account(issuer=issuer, subject=subject, student_id=student_id))
        elif person.student_id is not None:
            raise PersonConflict(f"This subject is already student {person.student_id}.")
        else:
            person.student_id = student_id


@retried(repeatable=False)
def appoint(issuer: str, subject: str, role: str, name: str | None = None) -> None:
    """Give the person with the account `subject` a role: `advisor` or `registrar`.

    Without such an account, it makes one, and a person called `name` (default: the subject). Raises `AccountTaken` if
    it is the account of a student, and `PersonConflict`.
    """
    with refusing(_REFUSALS), writing() as session:
        person = _person(session, issuer, subject)
        if person is None:
            account = Account(issuer=issuer, subject=subject)
            session.add(Person(name=(name or subject)[:200], roles=[role], accounts=[account]))
        elif role in person.roles:
            raise PersonConflict(f"This subject is already {role}.")
        else:
            person.roles.add(role)


@retried(repeatable=False)
def advise(issuer: str, subject: str, student_id: int) -> None:
    """Make an advisor the advisor of a student; doing so again changes nothing.

    Raises `StudentNotFound`, `PersonConflict`.
    """
    with writing() as session:
        person = _person(session, issuer, subject)
        if person is None or ADVISOR not in person.roles:
            raise PersonConflict("This subject is not an advisor. Give it the role first: people staff --role advisor.")
        _lock_student(session, student_id)
        person.advises.add(student_id)


@retried(repeatable=False)
def stop_advising(issuer: str, subject: str, student_id: int) -> bool:
    """Undo `advise`; return whether there was anything to undo."""
    with writing() as session:
        person = _person(session, issuer, subject)
        if person is None or student_id not in person.advises:
            return False
        person.advises.remove(student_id)
        return True


@retried(repeatable=False)
def delete_account(issuer: str, subject: str) -> bool:
    """Delete an account, and its person if that was the last one; return whether there was one."""
    with writing() as session:
        person = _person(session, issuer, subject)
        account = delete(Account).filter_by(issuer=issuer, subject=subject).returning(Account.id)
        was_there = bool(session.execute(account).all())
        if person and not session.scalar(select(exists().where(Account.person_id == person.id))):
            session.execute(delete(Person).filter_by(id=person.id))
        return was_there


def _person(session: Session, issuer: str, subject: str) -> Person | None:
    """Return the person with an account, locked; None also for the account of a student."""
    return session.scalar(
        select(Person)
        .join(Account, Account.person_id == Person.id)
        .where(Account.issuer == issuer, Account.subject == subject)
        .with_for_update(of=Person, key_share=True)
    )


def _lock_student(session: Session, student_id: int) -> None:
    """Keep a student from being deleted until the end of the transaction. Raises `StudentNotFound`."""
    if session.get(Student, student_id, with_for_update={"read": True, "key_share": True}) is None:
        raise StudentNotFound
