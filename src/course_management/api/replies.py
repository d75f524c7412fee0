"""What is answered: JSON written once, entity tags, conditional requests, pages and their cursors."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

import orjson
from flask import Response, request

from ..access import policy
from ..access.callers import caller
from ..database import AnyRow
from ..database.types import MAX_ID
from ..errors import CodeTaken, EmailTaken, MalformedPrecondition, PreconditionFailed
from ..schemas.outgoing import MOMENT
from ..services import Precondition
from .requests import validation_failed

TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
TAGS = re.compile(rf"\s*(?:\*|{TAG}(?:\s*,\s*{TAG})*)\s*")
if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

OPTIONS = orjson.OPT_UTC_Z
SEAL = 7
"""Bytes of a cursor's seal; with the 8 of its key they make base64 without padding."""


class Answer(Response):
    """An answer that is whole when it is made: its bytes in one piece, and their length in its headers."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Hand it to the server. Werkzeug would copy the headers to complete them, a tenth of all its work."""
        if environ["REQUEST_METHOD"] == "HEAD" or self.status_code == HTTPStatus.NOT_MODIFIED:
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        return cast("list[bytes]", self.response)


def reply(
    body: Any,
    status: int = 200,
    *,
    thing: str | None = None,
    tag_body: Any = None,
    location: str | None = None,
    content_type: str = "application/json",
) -> Response:
    """The answer with `body` as JSON; with `thing`, an ETag, and 304 when the client has this very body.

    The ETag has two parts, `"<thing>.<body>"`: the first changes when what a client may edit changes, the
    second with anything in the body, so that other people's enrolling does not spoil an edit. `tag_body` is the body
    that a GET would have, where this one says more: the ETag is that of the resource.
    """
    data = orjson.dumps(body, option=OPTIONS)
    response = Answer(data, status, content_type=content_type)
    if location:
        response.headers["Location"] = location
    if thing is not None:
        tag = f'"{thing}.{digest(data if tag_body is None else orjson.dumps(tag_body, option=OPTIONS))}"'
        response.headers["ETag"] = tag
        known = request.headers.get("If-None-Match")
        if known and request.method in {"GET", "HEAD"} and _names(known, tag):
            response.status_code = 304
            response.set_data(b"")
            del response.headers["Content-Type"]
    return response


def _names(header: str, tag: str) -> bool:
    return TAGS.fullmatch(header) is not None and (
        header.strip() == "*" or tag in (each.removeprefix("W/") for each in re.findall(TAG, header))
    )


def digest(data: bytes) -> str:
    """A short fingerprint for an ETag."""
    return blake2b(data, digest_size=8).hexdigest()


def fingerprint(facts: Iterable[Any]) -> str:
    """The first part of an ETag, from the facts a client may edit."""
    return digest(orjson.dumps(list(facts)))


def student_tag(student: AnyRow) -> str:
    """Changes when the student's name or e-mail address does."""
    return fingerprint((student.id, student.name, student.email))


def course_tag(course: AnyRow) -> str:
    """Changes when the course's code, title or limits do."""
    return fingerprint((course.id, course.code, course.title, course.capacity, course.waitlist_capacity))


def holdings_tag(holdings: Iterable[AnyRow]) -> str:
    """Changes when the student gets or loses a seat or a place in a queue, even if back to the same set."""
    return fingerprint(sorted([(row.course_id, row.status, row.revision) for row in holdings]))


def if_match(tag_of: Callable[[Any], str]) -> Precondition | None:
    """The check that If-Match asks for, or None. Raises `MalformedPrecondition`.

    Only the first part of the tag counts, and weak tags never match (RFC 9110, 13.1.1).
    """
    header = request.headers.get("If-Match")
    if header is None:
        return None
    if not TAGS.fullmatch(header):
        raise MalformedPrecondition
    things = {tag.strip('"').partition(".")[0] for tag in re.findall(TAG, header) if tag.startswith('"')}

    def check(found: Any) -> None:
        if header.strip() != "*" and tag_of(found) not in things:
            raise PreconditionFailed

    return check


# --- conflicts --------------------------------------------------------------------------------------------


@contextmanager
def naming_existing(route: str, find: Callable[[], int | None]) -> Iterator[None]:
    """Add to `email_taken` and `code_taken` the id of who has it, for callers who may read the list at `route`."""
    try:
        yield
    except (EmailTaken, CodeTaken) as taken:
        if policy.permits(route, caller()) and (existing := find()):
            taken.facts["existing_id"] = existing
        raise


# --- pages ------------------------------------------------------------------------------------------------


def page_reply(
    rows: Sequence[AnyRow], limit: int, key: Callable[[AnyRow], int], item: Callable[[AnyRow], Any]
) -> Response:
    """One page of a list. `rows` were asked for with `limit` + 1, to know whether there is a next page."""
    following = (key(rows[limit - 1]), 0) if len(rows) > limit else None
    return page_ending(rows[:limit], following, item)


def page_ending(rows: Sequence[AnyRow], end: tuple[int, int] | None, item: Callable[[AnyRow], Any]) -> Response:
    """One page of a list, and in its cursor its `end`: the last key, and how many the pages so far have shown."""
    following = _encode(*end) if end else None
    response = reply({"items": [item(row) for row in rows], "next": following})
    if following:
        query = urlencode({**request.args, "after": following})
        response.headers["Link"] = f'<{request.path}?{query}>; rel="next"'
    return response


def after(query: dict[str, Any], first: int = 0) -> int:
    """The key a page starts behind: from its cursor, or `first`. Refuses the cursor of another list."""
    return first if query.get("after") is None else after_end(query)[0]


def after_end(query: dict[str, Any]) -> tuple[int, int]:
    """The `end` of the page before, as `page_ending` took it; (0, 0) for the first page."""
    cursor = query.get("after")
    if cursor is None:
        return 0, 0
    try:
        raw = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
        key, shown = int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:-SEAL], "big")
        genuine = _encode(key, shown) == cursor and max(key, shown) <= MAX_ID
    except (ValueError, OverflowError):
        genuine = False
    if not genuine:
        raise validation_failed({"after": ["Must be the `next` of a page of this very list."]})
    return key, shown


def _encode(key: int, shown: int) -> str:
    """Nine bytes for what was shown, where it matters: so the base64 of either length needs no padding."""
    data = key.to_bytes(8, "big") + (shown.to_bytes(9, "big") if shown else b"")
    return base64.urlsafe_b64encode(data + _seal(key, shown)).decode()


def _seal(key: int, shown: int) -> bytes:
    """Binds a cursor to its list and filter. It keeps out mistakes; there is no secret behind a cursor."""
    scope = f"{request.path}?status={request.args.get('status', 'enrolled')}&as_of={request.args.get('as_of')}"
    for name in ("email", "code"):
        if name in request.args:
            scope += f"&{name}={request.args[name]}"
    scope += f"#{key}" + (f"+{shown}" if shown else "")
    return blake2b(scope.encode(), digest_size=SEAL).digest()


def empty() -> Response:
    """The answer that says nothing."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


EVENT = {"at": MOMENT, "from": None, "to": "enrolled", "actor": "anonymous", "request_id": "5f0c5b1e"}
"""An example of `event_item`."""


def event_item(event: AnyRow) -> dict[str, Any]:
    """A line of the ledger as the contract writes it; beside it stands whom or what it is about."""
    return {
        "at": event.at,
        "from": event.from_status,
        "to": event.to_status,
        "actor": event.actor,
        "request_id": event.request_id,
    }
