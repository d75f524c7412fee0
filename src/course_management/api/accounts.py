"""The accounts of people and of students: the same three routes below both."""

from __future__ import annotations

from typing import Any

from flask import Response

from ..access.policy import Access
from ..errors import AccountNotFound, AccountTaken
from ..http.declarations import Body, Declaration, Endpoint, Success
from ..http.endpoints import Endpoints
from ..http.pagination import Page
from ..http.responses import empty, reply
from ..repositories import accounts as repository
from ..schemas.pagination import PageQuery
from ..schemas.people import ACCOUNT_BODY, AccountBody, AccountResponse, Accounts
from ..services import accounts as service
from ..services.accounts import Owner

MANAGE_ACCESS = Access(scope="admin")


class AccountRoutes:
    """The routes at `/<plural>/{<singular>_id}/accounts`; the plural is the name of the blueprint."""

    def __init__(self, blueprint: Endpoints, singular: str, owner: Owner) -> None:
        self._owner = owner
        rule = f"/{blueprint.name}/<id:{owner.column}>/accounts"
        not_found = owner.resource.not_found
        self._all = f"/{blueprint.name}/{{}}/accounts"
        for endpoint in (
            Endpoint(
                name=f"list_{singular}_accounts",
                documentation=f"List the accounts of a {singular}, by id.",
                method="GET",
                rule=rule,
                view=self.list,
                access=MANAGE_ACCESS,
                declared=Declaration(
                    query=PageQuery(),
                    responses=[Success(200, Accounts)],
                ),
                problems=(not_found,),
            ),
            Endpoint(
                name=f"create_{singular}_account",
                documentation=(
                    f"Let a subject of an issuer sign in as a {singular}.\n\n"
                    "A subject is the account of one person or student. It has effect within 5 seconds."
                ),
                method="POST",
                rule=rule,
                view=self.create,
                access=MANAGE_ACCESS,
                declared=Declaration(
                    body=Body(AccountBody(), ACCOUNT_BODY),
                    responses=[Success(201, AccountResponse, headers=("Location",))],
                ),
                problems=(not_found, AccountTaken),
            ),
            Endpoint(
                name=f"delete_{singular}_account",
                documentation=f"Delete an account of a {singular}, who stays.\n\nIt has effect within 5 seconds.",
                method="DELETE",
                rule=f"{rule}/<id:account_id>",
                view=self.delete,
                access=MANAGE_ACCESS,
                declared=Declaration(responses=[Success(204)]),
                problems=(AccountNotFound,),
            ),
        ):
            blueprint.add(endpoint)

    def list(self, page: Page, **path: int) -> Response:
        """List the accounts."""
        rows = repository.page(self._owner.column, path[self._owner.column], page.after(), page.limit + 1)
        if rows is None:
            raise self._owner.resource.not_found
        return page.reply(rows, lambda row: int(row.id), item)

    def create(self, body: dict[str, Any], **path: int) -> Response:
        """Create an account."""
        owner_id = path[self._owner.column]
        account = service.add(self._owner, owner_id, **body)
        return reply(item(account), 201, location=f"{self._all.format(owner_id)}/{account.id}")

    def delete(self, account_id: int, **path: int) -> Response:
        """Delete an account."""
        service.remove(self._owner, path[self._owner.column], account_id)
        return empty()


def item(account: Any) -> dict[str, Any]:
    """Return an account as the contract has it."""
    return {
        "id": account.id,
        "issuer": account.issuer,
        "subject": account.subject,
        "created_at": account.created_at,
        "updated_at": account.created_at,  # an account is never changed
    }
