"""API keys of services: created, and shown once; listed; given another end; revoked."""

from __future__ import annotations

from typing import Any

from flask import Response

from ..access import key_management as service
from ..context import RequestContext
from ..errors import KeyEnded, TooManyKeys
from ..http.declarations import Success
from ..http.endpoints import Endpoints
from ..http.responses import IfMatch, empty, reply
from ..schemas.keys import CreatedKey, KeySchema
from .accounts import MANAGE_ACCESS
from .resources import CustomView, ResourceAccess, ResourceRoutes

endpoints = Endpoints("keys", __name__, description="The API keys of services.")
routes = ResourceRoutes(
    endpoints,
    "key",
    service.KEY_RESOURCE,
    KeySchema,
    ResourceAccess(list=MANAGE_ACCESS, read=MANAGE_ACCESS, write=MANAGE_ACCESS),
)


def create_key(body: dict[str, Any], context: RequestContext) -> Response:
    """Create a key.

    The response is the only one that has it, as `key`. Registrars cannot create keys with the scope `admin`. The first
    key ends protected mode.
    """
    created = service.create(**body, context=context)
    item = routes.write_item(created.key)
    return reply(
        item | {"key": created.secret},
        201,
        tag=routes.tag(created.key),
        tag_body=item,
        location=f"/keys/{created.key.id}",
    )


def change_key(body: dict[str, Any], if_match: IfMatch | None, key_id: int, context: RequestContext) -> Response:
    """Change when a key expires.

    An expired or revoked key stays so. Name and scopes are fixed: create another key.
    """
    key = service.change(key_id, body, routes.precondition(if_match), context)
    return reply(routes.write_item(key), tag=routes.tag(key))


def delete_key(if_match: IfMatch | None, key_id: int) -> Response:
    """Revoke a key; it stays in the list.

    Doing so again changes nothing. Requests with the key are accepted for at most 5 seconds more.
    """
    service.revoke(key_id, routes.precondition(if_match))
    return empty()


routes.register(
    create=CustomView(create_key, Success(201, CreatedKey), (TooManyKeys,)),
    change=CustomView(change_key, Success(200, KeySchema.response()), (KeyEnded,)),
    delete=delete_key,
)
