"""The routes of a resource: create, list, read, change, delete. Further routes of a resource are in its own module.

Each resource has the same five, made from its model (`services/resources.py`), its schema and its access rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from flask import Response

from ..access import policy
from ..access.policy import Access
from ..context import RequestContext
from ..errors import Conflict, Problem
from ..http.declarations import Body, Declaration, Endpoint, Success, View
from ..http.endpoints import Endpoints
from ..http.pagination import Page
from ..http.responses import IfMatch, empty, fingerprint, reply
from ..repositories import resources as repository
from ..schemas.pagination import page_of
from ..schemas.resources import ResourceSchema
from ..services import Precondition
from ..services import resources as service
from ..services.resources import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceAccess:
    """The access rows of a resource."""

    list: Access
    read: Access
    write: Access


class CustomView(NamedTuple):
    """A view that replaces a common one, what it returns, and its problems beside those of the resource."""

    view: View
    success: Success
    problems: tuple[type[Problem], ...] = ()


class ResourceRoutes:
    """The routes at `/<plural>` and `/<plural>/{<singular>_id}`; the plural is the name of the blueprint."""

    def __init__(
        self,
        blueprint: Endpoints,
        singular: str,
        resource: Resource[Any],
        schema: type[ResourceSchema],
        access: ResourceAccess,
    ) -> None:
        self.resource, self.schema, self.access = resource, schema, access
        self.write_item = schema.writer()
        """Returns a row as the contract has it."""
        self._editable_values = schema.editable_values()
        self._names = [name for name in schema.stored() if hasattr(resource.model, name)]
        self._blueprint, self._singular, self.plural = blueprint, singular, blueprint.name
        self._title = singular.replace("_", " ")
        self._all, self._one = f"/{self.plural}", f"/{self.plural}/<id:{singular}_id>"

    def register(
        self, *, create: CustomView | None = None, change: CustomView | None = None, delete: View | None = None
    ) -> None:
        """Register all five. A resource passes its own view where it does more than the common one."""
        self._add_create(create or CustomView(self.create, Success(201, self.schema.response())))
        self._add_list()
        self._add_read()
        self._add_change(change or CustomView(self.change, Success(200, self.schema.response())))
        self._add_delete(delete or self.delete)

    # --- the views ----------------------------------------------------------------------------------------

    def create(self, body: dict[str, Any], context: RequestContext) -> Response:
        """Create a row."""
        with self.adding_existing_id(body, context):
            row = service.create(self.resource, body, context)
        return reply(self.write_item(row), 201, tag=self.tag(row), location=f"{self._all}/{row.id}")

    def list(self, query: dict[str, Any], page: Page) -> Response:
        """List the rows, by id."""
        filters = {name: value for name, value in query.items() if name not in {"limit", "after"}}
        rows = repository.page(self.resource.model, self._names, page.after(), page.limit + 1, filters)
        return page.reply(rows, lambda row: int(row.id), self.write_item)

    def read(self, **path: int) -> Response:
        """Read one row."""
        (row_id,) = path.values()
        row = repository.find(self.resource.model, self._names, row_id)
        if row is None:
            raise self.resource.not_found
        return reply(self.write_item(row), tag=self.tag(row))

    def change(self, body: dict[str, Any], if_match: IfMatch | None, context: RequestContext, **path: int) -> Response:
        """Change some values of one row."""
        (row_id,) = path.values()
        with self.adding_existing_id(body, context, row_id):
            row = service.change(self.resource, row_id, body, self.precondition(if_match), context)
        return reply(self.write_item(row), tag=self.tag(row))

    def delete(self, if_match: IfMatch | None, context: RequestContext, **path: int) -> Response:
        """Delete one row."""
        (row_id,) = path.values()
        service.remove(self.resource, row_id, self.precondition(if_match), context)
        return empty()

    # --- what they share, also with the views that replace them -------------------------------------------

    def tag(self, row: Any) -> str:
        """Return the first part of the ETag: it changes with what a client may edit."""
        return fingerprint(self._editable_values(row))

    def precondition(self, header: IfMatch | None) -> Precondition | None:
        """Return the check of an If-Match header, for the service; None without the header."""
        return None if header is None else lambda row: header.check(self.tag(row))

    @contextmanager
    def adding_existing_id(
        self, values: Mapping[str, Any], context: RequestContext, row_id: int | None = None
    ) -> Iterator[None]:
        """Add `existing_id` to the refusal of a value that another row has, for callers that may read the list.

        `row_id` is the id of the row that gets the values, which has others that are not among them.
        """
        try:
            yield
        except Conflict as refusal:
            refusals = self.resource.refusal_if_taken.items()
            column = next((name for name, problem in refusals if isinstance(refusal, problem)), None)
            if column and policy.has_access(self.access.list, context.caller):
                existing = repository.id_of(self.resource.model, self._unique(column, values, row_id))
                refusal.members |= {"existing_id": existing} if existing else {}
            raise

    def _unique(self, column: str, values: Mapping[str, Any], row_id: int | None) -> dict[str, Any]:
        """Return the values that are unique together."""
        names = [column, *filter(None, [self.resource.unique_within.get(column)])]
        row = None
        if row_id is not None and not values.keys() >= set(names):
            row = repository.find(self.resource.model, names, row_id)
        return {name: values.get(name, getattr(row, name, None)) for name in names}

    # --- their declarations -------------------------------------------------------------------------------

    def _add_create(self, own: CustomView) -> None:
        self._blueprint.add(
            Endpoint(
                name=f"create_{self._singular}",
                documentation=_documentation(f"Create a {self._title}.", own.view),
                method="POST",
                rule=self._all,
                view=own.view,
                access=self.access.write,
                declared=Declaration(
                    body=Body(self.schema.body(), self.schema.body_example()),
                    responses=[replace(own.success, headers=("ETag", "Location"))],
                ),
                problems=(*self.resource.refusal_if_taken.values(), *own.problems),
            )
        )

    def _add_list(self) -> None:
        page = page_of(self.plural.capitalize(), self.schema.response())
        self._blueprint.add(
            Endpoint(
                name=f"list_{self.plural}",
                documentation=f"List the {self.plural}, by id.",
                method="GET",
                rule=self._all,
                view=self.list,
                access=self.access.list,
                declared=Declaration(
                    query=self.schema.query(self.plural)(),
                    responses=[Success(200, page)],
                ),
            )
        )

    def _add_read(self) -> None:
        self._blueprint.add(
            Endpoint(
                name=f"get_{self._singular}",
                documentation=f"Read a {self._title}.",
                method="GET",
                rule=self._one,
                view=self.read,
                access=self.access.read,
                declared=Declaration(
                    responses=[
                        Success(200, self.schema.response(), headers=("ETag",)),
                        Success(304, headers=("ETag",)),
                    ],
                    conditional=["If-None-Match"],
                ),
                problems=(self.resource.not_found,),
            )
        )

    def _add_change(self, own: CustomView) -> None:
        summary = f"Change a {self._title}; fields that are not sent stay as they are."
        self._blueprint.add(
            Endpoint(
                name=f"change_{self._singular}",
                documentation=_documentation(summary, own.view),
                method="PATCH",
                rule=self._one,
                view=own.view,
                access=self.access.write,
                declared=Declaration(
                    body=Body(self.schema.body(partial=True), self.schema.change_example()),
                    responses=[replace(own.success, headers=("ETag",))],
                    conditional=["If-Match"],
                ),
                problems=(self.resource.not_found, *self.resource.constraints.values(), *own.problems),
            )
        )

    def _add_delete(self, view: View) -> None:
        self._blueprint.add(
            Endpoint(
                name=f"delete_{self._singular}",
                documentation=_documentation(f"Delete a {self._title}.", view),
                method="DELETE",
                rule=self._one,
                view=view,
                access=self.access.write,
                declared=Declaration(responses=[Success(204)], conditional=["If-Match"]),
                problems=(self.resource.not_found, *self.resource.in_use.values()),
            )
        )


def _documentation(summary: str, view: View) -> str:
    """Return the summary, and what the view's docstring has below its first line."""
    return f"{summary}\n\n{(view.__doc__ or '').partition(chr(10) * 2)[2]}"
