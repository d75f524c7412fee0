"""The pages of a list, in the order of a key, and the cursors that lead from one to the next."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode

from flask import Response
from marshmallow import Schema, fields, validate

from ..database.types import MAX_ID
from ..schemas.fields import QueryInteger
from .mistakes import validation_failed
from .responses import reply

SEAL_BYTES = 7
"""With the 8 of its key they make base64 without padding."""


class PageQuery(Schema):
    """The query of a list; subclasses add its filters."""

    limit = QueryInteger(
        1,
        200,
        load_default=50,
        metadata={"description": "The most items on the page.", "examples": [50]},
    )
    after = fields.String(
        validate=validate.Length(min=1, max=200),
        metadata={
            "description": "The `next` of the page before, to continue after it.",
            "examples": ["AAAAAAAAADLJ1mX4cQ2T"],
        },
    )


class Page:
    """One request for a page of a list. Raises `ValidationFailed` for a cursor of another list.

    `path` and `arguments` are those of the request, `query` is what a `PageQuery` made of them.
    """

    def __init__(self, path: str, arguments: Mapping[str, str], query: Mapping[str, Any]) -> None:
        self._path, self._arguments = path, arguments
        filters = sorted((name, str(value)) for name, value in query.items() if name not in {"limit", "after"})
        self._scope = f"{path}?{urlencode(filters)}"
        self.limit: int = query["limit"]
        self.key, self.shown = self._decode(query.get("after"))
        """The last key of the page before (None: this is the first page), and how many items came until then."""

    def after(self, first: int = 0) -> int:
        """Return the key behind which the page starts: that of the cursor, or `first`."""
        return first if self.key is None else self.key

    def reply(self, rows: Sequence[Any], key: Callable[[Any], int], item: Callable[[Any], Any]) -> Response:
        """Return the page. `rows` were asked for with `limit` + 1, to know whether there is a next page."""
        end = (key(rows[self.limit - 1]), 0) if len(rows) > self.limit else None
        return self.reply_ending(rows[: self.limit], end, item)

    def reply_ending(self, rows: Sequence[Any], end: tuple[int, int] | None, item: Callable[[Any], Any]) -> Response:
        """Return the page and, in its cursor, its `end`: the last key, and how many items came until then."""
        following = self._encode(*end) if end else None
        response = reply({"items": [item(row) for row in rows], "next": following})
        if following:
            query = urlencode({**self._arguments, "after": following})
            response.headers["Link"] = f'<{self._path}?{query}>; rel="next"'
        return response

    def _decode(self, cursor: str | None) -> tuple[int | None, int]:
        if cursor is None:
            return None, 0
        try:
            raw = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
            key, shown = int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:-SEAL_BYTES], "big")
            is_genuine = self._encode(key, shown) == cursor and max(key, shown) <= MAX_ID
        except (ValueError, OverflowError):
            is_genuine = False
        if not is_genuine:
            raise validation_failed({"after": ["Must be the `next` of a page of this list, with the same filters."]})
        return key, shown

    def _encode(self, key: int, shown: int) -> str:
        """Return nine bytes for `shown` only where it matters, so that the base64 of either length needs no padding."""
        data = key.to_bytes(8, "big") + (shown.to_bytes(9, "big") if shown else b"")
        # The seal binds a cursor to its list and filters. It prevents mistakes; there is no secret behind a cursor.
        seal = blake2b(f"{self._scope}#{key}+{shown}".encode(), digest_size=SEAL_BYTES).digest()
        return base64.urlsafe_b64encode(data + seal).decode()
