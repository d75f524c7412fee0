"""The two routes of a list that is replaced as a whole: GET with an ETag of its content, and PUT with If-Match."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from flask import Response
from marshmallow import Schema, fields
from sqlalchemy import Table

from ..access.policy import Access
from ..context import RequestContext
from ..errors import Problem
from ..http.declarations import Body, Declaration, Endpoint, Success
from ..http.endpoints import Endpoints
from ..http.responses import IfMatch, fingerprint, reply
from ..repositories import owned_rows
from ..repositories.owned_rows import OwnedRows
from ..schemas.lists import Distinct
from ..services import Precondition
from ..services import owned_lists as service
from ..services.owned_lists import OwnedList, Row

Replace = Callable[[int, Sequence[Any], Precondition | None, RequestContext], Sequence[Row]]


class Report(NamedTuple):
    """What follows from a list that was replaced, for the client to see; nothing was refused for it."""

    schema: type[Schema]
    """Of the whole response to PUT."""
    members: Callable[[int], dict[str, Any]]
    """Return it, by the id of the owner."""


@dataclass(frozen=True, kw_only=True)
class OwnedListRoutes:
    """The routes at `/<owners>/{<owner>_id}/<name>`; the plural of the owner is the name of the blueprint."""

    owned_list: OwnedList
    name: str
    title: str
    """What the list is, in the documentation."""
    body: Distinct | Schema
    """Loads the list, or the object of its groups."""
    item: type[Schema] | fields.Field[Any]
    """What a response lists: the schema of an object, or the field of a value; of groups, the schema of the whole."""
    example: Any
    """Of the body."""
    read_access: Access
    write_access: Access
    problems: Sequence[type[Problem]] = ()
    more: str = ""
    """More about replacing it, in the documentation."""
    service: Replace | None = None
    """What replaces the list, where that is more than `owned_lists.replace`."""
    description: Callable[[int, Any], dict[str, Any]] | None = None
    """Returns what responses say besides about a list of groups, by the id of the owner and the content of the list."""
    report: Report | None = None
    """What the response to PUT says besides. That of a plain list is then an object, with the list as its `name`."""

    def register(self, blueprint: Endpoints) -> None:
        """Register both."""
        owned_list, name, title, item = self.owned_list, self.name, self.title, self.item
        owner = owned_list.column.removesuffix("_id")
        content: Any = item
        if not owned_list.alternatives_column:
            content = fields.List(fields.Nested(item) if isinstance(item, type) else item)
        success = changed = Success(200, content, headers=("ETag",))
        if self.report:
            changed = Success(200, self.report.schema, headers=("ETag",))
        not_found = owned_list.owner.not_found
        for endpoint in (
            Endpoint(
                name=f"get_{owner}_{name}",
                documentation=f"Read the {title}.",
                method="GET",
                rule=f"/{blueprint.name}/<id:{owned_list.column}>/{name}",
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
                rule=f"/{blueprint.name}/<id:{owned_list.column}>/{name}",
                view=self.replace,
                access=self.write_access,
                declared=Declaration(body=Body(self.body, self.example), responses=[changed], conditional=["If-Match"]),
                problems=(not_found, *self.problems),
            ),
        ):
            blueprint.add(endpoint)

    def read(self, **path: int) -> Response:
        """Read the list."""
        (owner_id,) = path.values()
        owned_list = self.owned_list
        owner = cast("Table", owned_list.owner.model.__table__)
        rows = owned_rows.all_rows(OwnedRows(owner, owned_list.table, owned_list.column), owned_list.columns, owner_id)
        if rows is None:
            raise owned_list.owner.not_found
        rows = owned_list.sorted(rows)
        return reply(self._content(owner_id, rows), tag=self._tag(rows))

    def replace(self, body: Any, if_match: IfMatch | None, context: RequestContext, **path: int) -> Response:
        """Replace the list."""
        (owner_id,) = path.values()
        precondition: Precondition | None = None if if_match is None else lambda rows: if_match.check(self._tag(rows))
        if self.service:
            rows = self.service(owner_id, body, precondition, context)
        else:
            rows = service.replace(self.owned_list, owner_id, body, precondition)
        content = self._content(owner_id, rows)
        if self.report is None:
            return reply(content, tag=self._tag(rows))
        more = self.report.members(owner_id)
        return reply(self._with_report(content, more), tag=self._tag(rows), tag_body=content)

    def _content(self, owner_id: int, rows: Sequence[Row]) -> Any:
        content = self.owned_list.content(rows)
        return content | self.description(owner_id, content) if self.description else content

    def _with_report(self, content: Any, more: dict[str, Any]) -> dict[str, Any]:
        return (content if self.owned_list.alternatives_column else {self.name: content}) | more

    @staticmethod
    def _tag(rows: Sequence[Row]) -> str:
        return fingerprint(rows)
