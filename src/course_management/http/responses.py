"""Write responses: JSON, entity tags, conditional responses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import orjson
from flask import Response

from ..database.types import as_number
from ..errors import MalformedPrecondition, PreconditionFailed
from .declarations import JSON

TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
TAGS = re.compile(rf"\s*(?:\*|{TAG}(?:\s*,\s*{TAG})*)\s*")


def reply(
    body: Any,
    status: int = 200,
    *,
    tag: str | None = None,
    tag_body: Any = None,
    location: str | None = None,
    content_type: str = JSON,
) -> Response:
    """Return a response with `body` as JSON and, with `tag`, a strong ETag.

    An ETag has two parts, `"<tag>.<body>"`: the first changes when what a client may edit changes, the
    second with anything in the body, so that an enrollment does not make an edit fail. `tag_body` is the body
    that a GET would have, where this one says more: the ETag is that of the resource.
    """
    data = orjson.dumps(body, _more, orjson.OPT_UTC_Z)
    response = Response(data, status, content_type=content_type)
    if location:
        response.headers["Location"] = location
    if tag is not None:
        whole = data if tag_body is None else orjson.dumps(tag_body, _more, orjson.OPT_UTC_Z)
        response.headers["ETag"] = f'"{tag}.{digest(whole)}"'
    return response


def download(body: bytes | Iterable[bytes], media_type: str, name: str, *, tagged: bool = False) -> Response:
    """Return a file: bytes, with `tagged` with an ETag of them; or a body that the server writes (`SpooledBody`)."""
    is_whole = isinstance(body, bytes)
    response = Response(body, mimetype=media_type, direct_passthrough=not is_whole)
    response.headers["Content-Disposition"] = f"attachment; filename={name}"
    if tagged and isinstance(body, bytes):
        response.headers["ETag"] = f'"{digest(body)}"'
    return response


def empty() -> Response:
    """Return a response without a body."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def unless_known(response: Response, if_none_match: str) -> Response:
    """Make the response 304 without a body if the client already has this body."""
    if _names(if_none_match, response.headers.get("ETag", "")):
        response.status_code = 304
        response.set_data(b"")
        del response.headers["Content-Type"]
    return response


def digest(data: bytes) -> str:
    """Return a short fingerprint for an ETag."""
    return blake2b(data, digest_size=8).hexdigest()


def fingerprint(values: Iterable[Any]) -> str:
    """Return the first part of an ETag, from the values that a client may edit."""
    return digest(orjson.dumps(list(values), _more))


def _more(value: Any) -> int | float:
    """Write what orjson does not know: credits and points."""
    if isinstance(value, Decimal):
        return as_number(value)
    raise TypeError


# --- preconditions ----------------------------------------------------------------------------------------


class IfMatch:
    """The precondition of an If-Match header. Raises `MalformedPrecondition`."""

    def __init__(self, header: str) -> None:
        if not TAGS.fullmatch(header):
            raise MalformedPrecondition
        self._any = header.strip() == "*"
        # Only the first part of a tag counts, and weak tags never match (RFC 9110, 13.1.1).
        self._tags = {tag.strip('"').partition(".")[0] for tag in re.findall(TAG, header) if tag.startswith('"')}

    def check(self, tag: str) -> None:
        """Raise `PreconditionFailed` unless `tag`, the first part of an ETag, is one of those in the header."""
        if not self._any and tag not in self._tags:
            raise PreconditionFailed


def _names(if_none_match: str, tag: str) -> bool:
    """Return whether an If-None-Match header names `tag`, which is quoted. A malformed header names none."""
    return TAGS.fullmatch(if_none_match) is not None and (
        if_none_match.strip() == "*"
        or tag in (listed_tag.removeprefix("W/") for listed_tag in re.findall(TAG, if_none_match))
    )
