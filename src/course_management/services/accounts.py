"""Accounts: which subject of which issuer of tokens is which person or student."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete

from ..database import retried, writing
from ..errors import AccountNotFound, AccountTaken
from ..models import Account
from ..repositories import accounts as repository
from . import refusing
from .people import PERSON_RESOURCE
from .resources import Resource
from .students import STUDENT_RESOURCE

REFUSALS = {"uq_accounts_issuer_subject": AccountTaken}


@dataclass(frozen=True, slots=True)
class Owner:
    """What an account can belong to."""

    resource: Resource[Any]
    column: str
    """The column of the account with its id."""


PERSON, STUDENT = Owner(PERSON_RESOURCE, "person_id"), Owner(STUDENT_RESOURCE, "student_id")


def add(owner: Owner, owner_id: int, issuer: str, subject: str) -> Account:
    """Let a subject of an issuer sign in as the person or student with the id `owner_id`.

    Raises `PersonNotFound` or `StudentNotFound`, and `AccountTaken`.
    """
    try:
        return _add(owner, owner_id, issuer, subject)
    except AccountTaken as refusal:
        refusal.members |= repository.existing_account(issuer, subject)
        raise


@retried(repeatable=False)
def _add(owner: Owner, owner_id: int, issuer: str, subject: str) -> Account:
    with refusing(REFUSALS), writing() as session:
        if session.get(owner.resource.model, owner_id, with_for_update={"read": True, "key_share": True}) is None:
            raise owner.resource.not_found
        account = Account(issuer=issuer, subject=subject, **{owner.column: owner_id})
        session.add(account)
        session.flush()
        return account


@retried(repeatable=False)
def remove(owner: Owner, owner_id: int, account_id: int) -> None:
    """Delete an account of a person or student, who stays. Raises `AccountNotFound`."""
    with writing() as session:
        ids = {"id": account_id, owner.column: owner_id}
        if not session.execute(delete(Account).filter_by(**ids).returning(Account.id)).all():
            raise AccountNotFound
