"""Read the accounts with which people and students sign in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, func, select

from ..database import AnyRow, autocommit
from ..models import accounts, advisees, people, person_roles, students
from ..repositories.owned_rows import OwnedRows
from . import owned_rows

_OF = {
    column: OwnedRows(owner, accounts, column) for column, owner in (("person_id", people), ("student_id", students))
}
_BY_SUBJECT = select(accounts).where(
    accounts.c.issuer == bindparam("issuer"), accounts.c.subject == bindparam("subject")
)


def page(column: str, owner_id: int, after: int, limit: int) -> Sequence[AnyRow] | None:
    """Return up to `limit` accounts of a person (`person_id`) or student (`student_id`), by id from above `after`.

    None: there is no such person or student.
    """
    return owned_rows.page(_OF[column], owner_id, after=after, limit=limit)


def existing_account(issuer: str, subject: str) -> dict[str, Any]:
    """Return `existing_id`, and `person_id` or `student_id`, of an account; nothing if there is none."""
    rows = autocommit(_BY_SUBJECT, {"issuer": issuer, "subject": subject})
    if not rows:
        return {}
    row = rows[0]
    owner = {"person_id": row.person_id, "student_id": row.student_id}
    return {"existing_id": row.id} | {name: value for name, value in owner.items() if value is not None}


def all_accounts() -> Sequence[AnyRow]:
    """Return all accounts, oldest first: `issuer, subject, person_id, name, student_id, role, advised`.

    A person with several roles has a row for each; `advised` counts the students whom the person advises. `student_id`
    is that of the account or of the person.
    """
    return autocommit(_EVERYBODY)


_EVERYBODY = (
    select(
        accounts.c.issuer,
        accounts.c.subject,
        accounts.c.person_id,
        people.c.name,
        func.coalesce(accounts.c.student_id, people.c.student_id).label("student_id"),
        person_roles.c.role,
        select(func.count()).where(advisees.c.person_id == people.c.id).scalar_subquery().label("advised"),
    )
    .select_from(
        accounts.outerjoin(people, people.c.id == accounts.c.person_id).outerjoin(
            person_roles, person_roles.c.person_id == people.c.id
        )
    )
    .order_by(accounts.c.id, person_roles.c.role)
)
