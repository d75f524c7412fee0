"""What is accepted: one strict reader for bodies and queries, and the limits before anything is read.

Flask, marshmallow and json are lenient where two readers of one document could disagree: duplicate keys, NaN,
repeated parameters, other content types. Nothing lenient is left here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any, NoReturn

from flask import Flask, Request
from flask.globals import request_ctx
from marshmallow import Schema, ValidationError
from marshmallow.fields import Field, List
from webargs.flaskparser import FlaskParser
from werkzeug.routing import BaseConverter

from ..access.callers import actor
from ..database.types import MAX_ID
from ..errors import (
    BadRequest,
    HeadersTooLarge,
    LengthRequired,
    MalformedJson,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    UnsupportedMediaType,
    UriTooLong,
    ValidationFailed,
)
from ..logs import request_id, this_request
from ..schemas.fields import MAX_ERRORS
from ..services import Context

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MAX_URI, MAX_HEADERS = 8192, 8192
MAX_NAME = 100
MAX_DEPTH = 64
"""How deep arrays and objects may be nested in a body."""
MAX_CONTAINERS = 10_000
"""Arrays and objects in one body: 350,000 of them fit into 1 MiB and take 300 ms to decode, these take 10 ms."""


class IdConverter(BaseConverter):
    """An id in a path: digits, without leading zeros; `_limit` sees that it is at most 2^53-1."""

    regex = "[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        """The id as a number."""
        return int(value)


def init_app(app: Flask, max_body_bytes: int) -> None:
    """Set the limits, and the form of an id in a path."""
    app.config["MAX_CONTENT_LENGTH"] = max_body_bytes
    app.url_map.converters["id"] = IdConverter
    # An address is right or wrong; a redirect would lose the body.
    app.url_map.merge_slashes = app.url_map.redirect_defaults = False
    app.before_request(_limit)


def _limit() -> None:
    asked = this_request()
    environ = asked.environ
    # granian passes only the decoded path: there, an encoded slash cannot be told from a slash (decision 20).
    raw = environ.get("RAW_URI")
    if len(raw or f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}") > MAX_URI:
        raise UriTooLong
    if raw and "%2f" in raw.partition("?")[0].lower():
        raise NotFound
    size = 0
    for name, value in environ.items():  # not a generator in `sum`: this is every request's
        if name[:5] == "HTTP_":
            size += len(name) + len(value)
    if size > MAX_HEADERS:
        raise HeadersTooLarge
    _refuse_lenience(environ)
    # Not in the converter: where a path has other methods, Werkzeug would answer what it refuses with 405.
    for value in (asked.view_args or {}).values():
        if isinstance(value, int) and value > MAX_ID:
            raise NotFound


def _refuse_lenience(environ: WSGIEnvironment) -> None:
    """Refuse what granian and Werkzeug take for something else, and a proxy may not."""
    host = environ.get("HTTP_HOST")
    if "," in host if host else environ["SERVER_PROTOCOL"] == "HTTP/1.1":
        raise BadRequest("A request has exactly one Host header.")
    if environ.get("HTTP_TRANSFER_ENCODING", "chunked").lower() != "chunked":
        raise BadRequest("The only Transfer-Encoding that this service knows is chunked, applied once.")
    if environ["PATH_INFO"].startswith("//"):
        raise NotFound  # Werkzeug takes any number of slashes for one
    if not environ["REQUEST_METHOD"].isupper():
        # Werkzeug takes `get` for GET; methods are case-sensitive (RFC 9110, 9.1).
        allowed = request_ctx.url_adapter.allowed_methods() if request_ctx.url_adapter else ()
        raise MethodNotAllowed(headers={"Allow": ", ".join(sorted(allowed))})


def context() -> Context:
    """Who asks, and in which request."""
    return Context(actor(), request_id())


# --- JSON -------------------------------------------------------------------------------------------------


def load_json(data: bytes) -> Any:
    """Decode one JSON document in UTF-8, strictly. Raises `MalformedJson`."""
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and not _is_simple(data):
        raise MalformedJson
    try:
        return _STRICT.decode(data.decode("utf-8"))
    except (ValueError, RecursionError):  # a decoding error and a number of 5,000 digits are ValueErrors
        raise MalformedJson from None


def _is_simple(data: bytes) -> bool:
    """Tell whether arrays and objects are few enough and not nested too deep, by their brackets outside of strings."""
    without_escapes = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(without_escapes.split(b'"')[::2]).translate(None, _NOT_BRACKETS)
    if len(brackets) > 2 * MAX_CONTAINERS:
        return False
    depth = accumulate(1 if each in b"[{" else -1 for each in brackets)
    return max(depth, default=0) <= MAX_DEPTH


_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_STRICT = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_float=_finite, parse_constant=_refuse)


def has_body() -> bool:
    """Whether the request brings a body. HTTP servers drop Content-Length from a chunked one."""
    asked = this_request()
    return bool(asked.content_length) or "chunked" in asked.headers.get("Transfer-Encoding", "").lower()


def read_body(req: Request, accepted: Collection[str]) -> bytes:
    """Read a body of one of the `accepted` media types, as the bytes that were sent.

    Raises `UnsupportedMediaType`, `PayloadTooLarge`, and `LengthRequired` for a chunked body: the server cannot tell
    its end from a connection that was lost in the middle, and half a file of rows looks like a whole one.
    """
    if req.mimetype not in accepted or _is_encoded(req):
        raise UnsupportedMediaType
    if req.content_length is None and has_body():
        raise LengthRequired
    return _read(req)


def _is_encoded(req: Request) -> bool:
    return req.headers.get("Content-Encoding", "identity").lower() != "identity"


def _read(req: Request) -> bytes:
    """The body. Werkzeug would read it in 50 calls, and cut a chunked one off at the limit without a word."""
    limit, length = req.max_content_length or 0, req.content_length
    if length is None:
        # A server that does not mark the end of a body would have us wait for more without end.
        length = limit + 1 if req.environ.get("wsgi.input_terminated") else 0
    elif length > limit:
        raise PayloadTooLarge
    data: bytes = req.environ["wsgi.input"].read(length)
    if len(data) > limit:
        raise PayloadTooLarge
    return data


# --- bodies and queries through their schemas -------------------------------------------------------------


class StrictParser(FlaskParser):
    """webargs with our reader, and with every mistake of a request in one answer."""

    DEFAULT_UNKNOWN_BY_LOCATION = {"json": None, "query": None}  # noqa: RUF012 - None: the schema's own, raise

    def get_default_request(self) -> Request:
        """The request itself."""
        return this_request()

    def load_json(self, req: Request, schema: Schema) -> Any:  # noqa: ARG002 - webargs calls it so
        """The body, read strictly."""
        if req.environ.get("CONTENT_TYPE") != "application/json":  # as nearly everybody writes it
            charset = req.mimetype_params.get("charset", "utf-8").lower()
            if req.mimetype != "application/json" or charset not in {"utf-8", "utf8"}:
                raise UnsupportedMediaType
        if _is_encoded(req):
            raise UnsupportedMediaType
        found = load_json(_read(req))
        if not isinstance(found, dict):
            # A chunked body may have been cut off: no beginning of an object is a document, but 1 is one of 12.
            raise ValidationError("Must be a JSON object.")
        if len(found) > MAX_ERRORS:
            # No schema has so many, and marshmallow would take half a second to say so of each.
            raise ValidationError(f"Must not have more than {MAX_ERRORS} members.")
        return found

    def load_querystring(self, req: Request, schema: Schema) -> dict[str, Any]:
        """The query; a parameter stands once, unless the schema takes a list of it."""
        known = _by_name(schema)
        query: dict[str, Any] = {}
        errors: dict[str, list[str]] = {}
        for name, values in req.args.lists():
            if isinstance(known.get(name), List):
                query[name] = values
            elif len(values) > 1 and name in known:
                errors[name] = ["Must be given once."]
            else:
                query[name] = values[0]
        if errors:
            raise ValidationError(errors)
        return query

    def handle_error(
        self,
        error: ValidationError,
        req: Request,  # noqa: ARG002
        schema: Schema,  # noqa: ARG002
        *,
        error_status_code: int | None,  # noqa: ARG002
        error_headers: Mapping[str, str] | None,  # noqa: ARG002
    ) -> NoReturn:
        """Refuse with a pointer to each place that is wrong."""
        # webargs puts the location around the messages: {"json": {...}}.
        (messages,) = error.messages_dict.values()
        raise validation_failed(messages)


def _by_name(schema: Schema) -> dict[str, Field[Any]]:
    return {field.data_key or name: field for name, field in schema.load_fields.items()}


def validation_failed(messages: Any) -> ValidationFailed:
    """The refusal for marshmallow's messages: a dict or list, nested as the document is."""
    return ValidationFailed(errors=list(islice(_pointers(messages, ""), MAX_ERRORS)))


def _pointers(messages: Any, path: str) -> Iterator[dict[str, str]]:
    if isinstance(messages, Mapping):
        # Ordered: marshmallow keeps unknown names in a set, and the same mistake shall get the same answer.
        for key, value in sorted(messages.items(), key=lambda each: (isinstance(each[0], str), each[0])):
            yield from _pointers(value, path if key == "_schema" else f"{path}/{_token(key)}")
    else:
        for message in messages if isinstance(messages, list) else [messages]:
            yield {"pointer": path, "detail": str(message)}


def _token(key: Any) -> str:
    """A step of a JSON pointer. The name of an unknown field is the client's, so it is cut."""
    return printable(str(key)[:MAX_NAME]).replace("~", "~0").replace("/", "~1")


def printable(text: str) -> str:
    """A client's text without lone surrogates, which JSON in UTF-8 cannot carry."""
    return text.encode("utf-8", "replace").decode()
