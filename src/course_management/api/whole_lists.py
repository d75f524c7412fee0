"""The two routes of a list that is replaced as a whole: GET with an ETag of its content, and PUT with If-Match."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from flask import Response
from marshmallow import Schema, fields
from sqlalchemy import Table

from ..access.policy import Access
from ..context import RequestContext
from ..errors import Problem
from ..http.declarations import Body, Declaration, Endpoint, Success
from ..http.endpoints import Endpoints
from ..http.responses import IfMatch, fingerprint, reply
from ..repositories import belonging
from ..repositories.belonging import Belonging
from ..schemas.lists import Distinct
from ..services import Precondition
from ..services import whole_lists as service
from ..services.whole_lists import Row, WholeList
from .resources import CONDITIONAL

Replace = Callable[[int, Sequence[Any], Precondition | None, RequestContext], Sequence[Row]]


@dataclass(frozen=True, kw_only=True)
class WholeListRoutes:
    """The routes at `/<owners>/{<owner>_id}/<name>`; the plural of the owner is the name of the blueprint."""

    whole: WholeList
    name: str
    title: str
    """What the list is, in the documentation."""
    body: Distinct
    """Loads the list."""
    item: type[Schema] | fields.Field[Any]
    """What a response lists: the schema of an object, or the field of a value."""
    example: Sequence[Any]
    read_access: Access
    write_access: Access
    problems: Sequence[type[Problem]] = ()
    more: str = ""
    """More about replacing it, in the documentation."""
    service: Replace | None = None
    """What replaces the list, where that is more than `whole_lists.replace`."""

    def register(self, blueprint: Endpoints) -> None:
        """Register both."""
        whole, name, title, item = self.whole, self.name, self.title, self.item
        owner = whole.column.removesuffix("_id")
        success = Success(
            200,
            fields.List(fields.Nested(item) if isinstance(item, type) else item),
            self.example,
            ("ETag",),
        )
        not_found = whole.owner.not_found
        for endpoint in (
            Endpoint(
                name=f"get_{owner}_{name}",
                documentation=f"Read the {title}.",
                method="GET",
                rule=f"/{blueprint.name}/<id:{whole.column}>/{name}",
                view=self.read,
                access=self.read_access,
                declared=Declaration(
                    responses=[success, Success(304, headers=("ETag",))], conditional=["If-None-Match"]
                ),
                problems=(not_found,),
            ),
            Endpoint(
                name=f"replace_{owner}_{name}",
                documentation=f"Replace the {title} by this list.\n\n{self.more}",
                method="PUT",
                rule=f"/{blueprint.name}/<id:{whole.column}>/{name}",
                view=self.replace,
                access=self.write_access,
                declared=Declaration(body=Body(self.body, self.example), responses=[success], conditional=["If-Match"]),
                problems=(not_found, *self.problems, *CONDITIONAL),
            ),
        ):
            blueprint.add(endpoint)

    def read(self, **path: int) -> Response:
        """Read the list."""
        (owner_id,) = path.values()
        whole = self.whole
        owner = cast("Table", whole.owner.model.__table__)
        rows = belonging.everything(Belonging(owner, whole.table, whole.column), whole.names, owner_id)
        if rows is None:
            raise whole.owner.not_found
        return self._reply(whole.sorted(rows))

    def replace(self, body: Sequence[Any], if_match: IfMatch | None, context: RequestContext, **path: int) -> Response:
        """Replace the list."""
        (owner_id,) = path.values()
        precondition: Precondition | None = None if if_match is None else lambda rows: if_match.check(self._tag(rows))
        if self.service:
            return self._reply(self.service(owner_id, body, precondition, context))
        return self._reply(service.replace(self.whole, owner_id, body, precondition))

    def _reply(self, rows: Sequence[Row]) -> Response:
        return reply([self.whole.item(row) for row in rows], tag=self._tag(rows))

    @staticmethod
    def _tag(rows: Sequence[Row]) -> str:
        return fingerprint(rows)
