"""Pages of lists, in the order of a key, and their cursors."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode

from flask import Response

from ..database.types import MAX_ID
from .responses import reply
from .validation_errors import validation_failed

WRONG_CURSOR = "Must be the `next` of a page of this list, with the same filters. Begin the list again."
SEAL_BYTES = 7
"""With the 8 bytes of the key, these need no padding in base64."""


class Page:
    """One request for a page of a list. Raises `ValidationFailed` for a cursor of another list.

    `path` and `arguments` are those of the request, `query` is what
    `schemas.pagination.PageQuery` made of them.
    """

    def __init__(self, path: str, arguments: Mapping[str, str], query: Mapping[str, Any]) -> None:
        self._path, self._arguments = path, arguments
        filters = sorted((name, str(value)) for name, value in query.items() if name not in {"limit", "after"})
        self._scope = f"{path}?{urlencode(filters)}"
        self._cursor: str | None = query.get("after")
        self.limit: int = query["limit"]
        self.key, self.shown = _decode(self._cursor)
        """The last key of the page before (None: this is the first page), and how many items came until then."""

    def after(self, first: int = 0, *, text: str = "") -> int:
        """Return the key behind which the page starts: that of the cursor, or `first`.

        A list that is sorted by a text and then by the key passes the `text` of the row with that key. It is not in
        the cursor, because cursors are in URLs. If it has changed since, the rows before cannot be told from those
        behind, and the cursor is refused.
        """
        if self.key is None:
            return first
        if self._encode(self.key, self.shown, text) != self._cursor:
            raise validation_failed({"after": [WRONG_CURSOR]})
        return self.key

    def reply(
        self,
        rows: Sequence[Any],
        key: Callable[[Any], int],
        item: Callable[[Any], Any],
        text: Callable[[Any], str] = lambda _: "",
    ) -> Response:
        """Return the page. `rows` were read with `limit` + 1, to know whether there is a next page."""
        if len(rows) <= self.limit:
            return self.reply_ending(rows, None, item)
        last = rows[self.limit - 1]
        return self.reply_ending(rows[: self.limit], (key(last), 0), item, text(last))

    def reply_ending(
        self, rows: Sequence[Any], end: tuple[int, int] | None, item: Callable[[Any], Any], text: str = ""
    ) -> Response:
        """Return the page and, in its cursor, its `end`: the last key, and how many items came until then."""
        following = self._encode(*end, text) if end else None
        response = reply({"items": [item(row) for row in rows], "next": following})
        if following:
            query = urlencode({**self._arguments, "after": following})
            response.headers["Link"] = f'<{self._path}?{query}>; rel="next"'
        return response

    def _encode(self, key: int, shown: int, text: str) -> str:
        """Return nine bytes for `shown` only where it matters, so that the base64 of either length needs no padding."""
        data = key.to_bytes(8, "big") + (shown.to_bytes(9, "big") if shown else b"")
        # The seal binds a cursor to its list and filters. It prevents mistakes; there is no secret behind a cursor.
        seal = blake2b(f"{self._scope}#{key}+{shown}#{text}".encode(), digest_size=SEAL_BYTES).digest()
        return base64.urlsafe_b64encode(data + seal).decode()


def _decode(cursor: str | None) -> tuple[int | None, int]:
    if cursor is None:
        return None, 0
    try:
        raw = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    key, shown = int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:-SEAL_BYTES], "big")
    if len(raw) not in {8 + SEAL_BYTES, 17 + SEAL_BYTES} or max(key, shown) > MAX_ID:
        raise validation_failed({"after": [WRONG_CURSOR]})
    return key, shown
