"""Sends large responses as the client reads them, and only a few at once.

granian copies a response when it takes it, and keeps the copy until the client has read it. 1,000 clients that ask for
the documentation and do not read would hold a gigabyte. A large response is therefore handed over piece by piece, in a
thread of its own that waits for the client; `slow_clients.py` ends a client that does not read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .responding import Response, Transport

LARGE = 128 * 1024
"""Bytes from which a response is large. Lists are smaller: only the documentation is not."""
PIECE = 16 * 1024
"""Bytes that are handed over at once; granian keeps four of them."""
MAX_SENDING = 32
"""Large responses that one process sends at once."""


class LargeResponses:
    """The large responses that a process is sending."""

    def __init__(self, at_once: int = MAX_SENDING) -> None:
        self._places = threading.BoundedSemaphore(at_once)

    def send(self, transport: Transport, response: Response) -> bool:
        """Send a response in a thread of its own; False when too many are being sent, or no thread can be started."""
        if not self._places.acquire(blocking=False):
            return False
        try:
            threading.Thread(target=self._send, args=(transport, response), daemon=True).start()
        except RuntimeError:
            self._places.release()
            return False
        return True

    def _send(self, transport: Transport, response: Response) -> None:
        status, headers, body = response
        try:
            transport.response_iter(status, headers, _Pieces(body))
        finally:
            self._places.release()


class _Pieces(Iterator[bytes]):
    """A body in pieces, with the `close` that granian calls when the client is gone or has everything."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = memoryview(body), 0

    def __next__(self) -> bytes:
        piece = self._body[self._at : self._at + PIECE]
        if not piece:
            raise StopIteration
        self._at += PIECE
        return bytes(piece)

    def close(self) -> None:
        """Forget the body."""
        self._body = memoryview(b"")
