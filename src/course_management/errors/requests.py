"""The request cannot be understood, or leads nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from .base import Problem


class BadRequest(Problem):
    code, status, title = "bad_request", 400, "Bad request"
    meaning = "The request is not well-formed HTTP."
    remedy = "Compare the request with the API documentation and send it again."


class MalformedJson(Problem):
    code, status, title = "malformed_json", 400, "Malformed JSON"
    meaning = "The body is not one JSON document in UTF-8."
    remedy = (
        "Send one JSON object in UTF-8. Duplicate keys, NaN, Infinity, numbers out of range, nesting deeper than 64 "
        "levels and more than 10,000 arrays and objects are not accepted."
    )


class MalformedPrecondition(Problem):
    code, status, title = "malformed_precondition", 400, "Malformed precondition"
    meaning = "The If-Match header is not a list of entity tags."
    remedy = 'Send the ETag as it was received, quotes included: If-Match: "1f0c.9a2e".'


class NotFound(Problem):
    code, status, title = "not_found", 404, "Not found"
    meaning = "There is nothing at this address."
    remedy = "Look up the address at /docs. Ids are whole numbers from 1, without leading zeros."


class MethodNotAllowed(Problem):
    code, status, title = "method_not_allowed", 405, "Method not allowed"
    meaning = "This address does not support the method of the request."
    remedy = "The Allow header lists the methods that it supports."


class LengthRequired(Problem):
    code, status, title = "length_required", 411, "Length required"
    meaning = "The body is sent in chunks, and for this request only a body whose length is declared is accepted."
    remedy = "Send the header Content-Length, and no Transfer-Encoding. JSON bodies may be sent in chunks."


class PreconditionFailed(Problem):
    code, status, title = "precondition_failed", 412, "Precondition failed"
    meaning = "The resource was changed after the ETag in If-Match was issued."
    remedy = "Read the resource again, look at what changed, and repeat the request with the new ETag."


class PayloadTooLarge(Problem):
    code, status, title = "payload_too_large", 413, "Body too large"
    meaning = "The body is larger than this service accepts."
    remedy = "Send less at once: one request enrolls one student in at most 100 courses."


class UriTooLong(Problem):
    code, status, title = "uri_too_long", 414, "Address too long"
    meaning = "The path and query of the request are longer than 8 kB."
    remedy = "Send many course ids in the body, not in the query."


class UnsupportedMediaType(Problem):
    code, status, title = "unsupported_media_type", 415, "Unsupported media type"
    meaning = "This address does not accept a body of this media type."
    remedy = (
        "Send the header Content-Type: application/json, or the one that the documentation names for this address, and "
        "no Content-Encoding."
    )


class ValidationFailed(Problem):
    code, status, title = "validation_failed", 422, "Validation failed"
    meaning = "The request was parsed, but some of its values are not valid."
    remedy = "The list `errors` names each value that is not valid, and what is expected there."
    example: ClassVar[Mapping[str, Any]] = {
        "errors": [{"pointer": "/course_ids/3", "detail": "Must not repeat an id."}]
    }
    max_errors: ClassVar[int] = 100
    """More are not listed: the response to a bad request must not be larger than the request."""


class HeadersTooLarge(Problem):
    code, status, title = "headers_too_large", 431, "Headers too large"
    meaning = "The headers of the request are longer than 8 kB together."
    remedy = "Send fewer or shorter headers; this service needs no cookies."
