"""Parse requests strictly, as their endpoints declare: JSON, queries and bodies.

Flask, marshmallow and `json` are lenient where two readers of one request could disagree: duplicate keys, NaN,
repeated parameters, other content types. Nothing lenient is left here. Except for `handler`, the functions take what
they need of a request, and know nothing else of it.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import Any, NoReturn

from flask import Request, Response, request
from marshmallow import Schema, ValidationError
from marshmallow.fields import Field, List
from werkzeug.datastructures import Headers, MultiDict
from werkzeug.http import parse_options_header

from ..context import current
from ..errors import LengthRequired, MalformedJson, PayloadTooLarge, UnsupportedMediaType, ValidationFailed
from .declarations import JSON, Body, Declaration, View
from .pagination import Page
from .responses import IfMatch, unless_known
from .validation_errors import validation_failed

MAX_DEPTH = 64
"""How deep arrays and objects may be nested in a body."""
MAX_CONTAINERS = 10_000
"""Arrays and objects in one body: 350,000 of them fit into 1 MiB and take 300 ms to decode, these take 10 ms."""


def handler(method: str, view: View, declared: Declaration) -> View:
    """Return the function that Flask calls: it parses the request as declared, and calls the view.

    The view gets those of `query`, `page`, `body`, `if_match` and `context` that it has parameters for.
    """
    query, body = declared.query, declared.body
    takes = frozenset(inspect.signature(view).parameters)
    defaults = None if query is None else _defaults(query)
    has_no_body = body is None and method != "GET"
    revalidates = "If-None-Match" in declared.conditional

    def handle(**values: Any) -> Response:
        # Flask documents `_get_current_object`, in spite of its underscore.
        this = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - saves 1.3 µs per access
        headers = this.headers
        if query is not None:
            query_values = dict(defaults) if defaults is not None and not this.args else load_query(this.args, query)
            if "query" in takes:
                values["query"] = query_values
            if "page" in takes:
                values["page"] = Page(this.path, this.args, query_values)
        elif this.query_string and this.args:
            refuse_parameters(this.args)
        if body is not None:
            values["body"] = _body(body, this)
        elif has_no_body and "Transfer-Encoding" in headers:
            raise LengthRequired  # this body is not read, so a connection lost in the middle would not be noticed
        if "if_match" in takes:
            header = headers.get("If-Match")
            values["if_match"] = None if header is None else IfMatch(header)
        if "context" in takes:
            values["context"] = current.get()
        response = view(**values)
        if revalidates and (known := headers.get("If-None-Match")):
            return unless_known(response, known)
        return response

    return handle


def _body(body: Body, this: Request) -> Any:
    if not body.required and not has_body(this.headers):
        return None
    check_media_type(this.headers)
    return load_body(read_body(this.environ, this.max_content_length or 0), body.schema)


# --- bodies -----------------------------------------------------------------------------------------------


def has_body(headers: Headers) -> bool:
    """Return whether a request has a body. HTTP servers drop Content-Length from a chunked one."""
    return headers.get("Content-Length", "0") != "0" or "chunked" in headers.get("Transfer-Encoding", "").lower()


def check_media_type(headers: Headers) -> None:
    """Raise `UnsupportedMediaType` unless the body is JSON in UTF-8 and not compressed."""
    content_type = headers.get("Content-Type", "")
    if content_type != JSON:
        media_type, options = parse_options_header(content_type)
        charset = options.get("charset", "utf-8").lower()
        if media_type.lower() != JSON or charset not in {"utf-8", "utf8"}:
            raise UnsupportedMediaType
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType


def read_body(environ: Mapping[str, Any], limit: int) -> bytes:
    """Read the body of a WSGI request. Raises `PayloadTooLarge` above `limit` bytes, also for a chunked body.

    Werkzeug would cut a chunked body off at the limit without an error.
    """
    length = environ.get("CONTENT_LENGTH")
    if not length or "HTTP_TRANSFER_ENCODING" in environ:
        # A server that does not mark the end of a body would let us wait for more without end.
        size = limit + 1 if environ.get("wsgi.input_terminated") else 0
    elif (size := int(length)) > limit:
        raise PayloadTooLarge
    data: bytes = environ["wsgi.input"].read(size)
    if len(data) > limit:
        raise PayloadTooLarge
    return data


def load_body(data: bytes, schema: Schema | Field[Any]) -> Any:
    """Load a JSON object by its schema, or a JSON array by its field.

    Raises `MalformedJson`, or `ValidationFailed` with all errors.
    """
    content = load_json(data)
    if isinstance(schema, Field):
        if not isinstance(content, list):
            raise validation_failed("Must be a JSON array.")
        return _load(content, schema.deserialize)
    if not isinstance(content, dict):
        # A chunked body may have been cut off: no beginning of an object is a document, but 1 is one of 12.
        raise validation_failed("Must be a JSON object.")
    if len(content) > ValidationFailed.max_errors:
        # No schema has so many fields, and marshmallow would take half a second to report each.
        raise validation_failed(f"Must not have more than {ValidationFailed.max_errors} members.")
    return _load(content, schema.load)


def _load(content: Any, load: Callable[[Any], Any]) -> Any:
    try:
        return load(content)
    except ValidationError as error:
        raise validation_failed(error.messages) from None


# --- queries ----------------------------------------------------------------------------------------------


def load_query(args: MultiDict[str, str], schema: Schema) -> Any:
    """Load a query by its schema; a parameter is given once, unless the schema takes a list of it."""
    fields = {field.data_key or name: field for name, field in schema.load_fields.items()}
    query: dict[str, Any] = {}
    repeated: dict[str, list[str]] = {}
    for name, values in args.lists():
        if isinstance(fields.get(name), List):
            query[name] = values
        elif len(values) > 1 and name in fields:
            repeated[name] = ["Must be given once."]
        else:
            query[name] = values[0]
    if repeated:
        raise validation_failed(repeated)
    return _load(query, schema.load)


def _defaults(schema: Schema) -> dict[str, Any] | None:
    """Return what an empty query loads, 3 % of a student's list if done each time; None if a parameter is required."""
    try:
        defaults: dict[str, Any] = schema.load({})
    except ValidationError:
        return None
    return defaults


def refuse_parameters(names: Iterable[str]) -> NoReturn:
    """Refuse the query of an endpoint that takes none."""
    raise validation_failed({name: ["Unknown parameter."] for name in names})


# --- JSON -------------------------------------------------------------------------------------------------


def load_json(data: bytes) -> Any:
    """Decode one JSON document in UTF-8. Raises `MalformedJson`."""
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and not _is_simple(data):
        raise MalformedJson
    try:
        return _DECODER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError):  # a decoding error and a number of 5,000 digits are ValueErrors
        raise MalformedJson from None


def _is_simple(data: bytes) -> bool:
    """Return whether arrays and objects are few enough and not nested too deep, by their brackets outside strings."""
    without_escapes = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(without_escapes.split(b'"')[::2]).translate(None, _NOT_BRACKETS)
    if len(brackets) > 2 * MAX_CONTAINERS:
        return False
    depth = accumulate(1 if bracket in b"[{" else -1 for bracket in brackets)
    return max(depth, default=0) <= MAX_DEPTH


_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate key")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("number out of range")
    return number


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_float=_finite, parse_constant=_refuse)
