"""Send large responses at the speed of the client, and only a few at once.

granian copies a response when it takes it, and keeps the copy until the client has read it. 1,000 clients that request
the documentation and do not read it would occupy a gigabyte. So a large response is passed on in pieces, by a separate
thread that waits for the client; `slow_clients.py` ends the connection of a client that does not read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .application import Response, Transport

LARGE = 128 * 1024
"""Size in bytes from which a response is large. Only the documentation is; lists are smaller."""
PIECE = 16 * 1024
"""Size of a piece in bytes; granian keeps four of them."""
MAX_SENDING = 32
"""Maximum number of large responses that one process sends at once."""


class LargeResponses:
    """Sends the large responses of a process, each in a thread, up to a maximum number at once."""

    def __init__(self, at_once: int = MAX_SENDING) -> None:
        self._free = threading.BoundedSemaphore(at_once)

    def send(self, transport: Transport, response: Response) -> bool:
        """Send a response in a new thread. Return False if too many are being sent or no thread can be started."""
        if not self._free.acquire(blocking=False):
            return False
        try:
            threading.Thread(target=self._send, args=(transport, response), daemon=True).start()
        except RuntimeError:
            self._free.release()
            return False
        return True

    def _send(self, transport: Transport, response: Response) -> None:
        status, headers, body = response
        try:
            transport.response_iter(status, headers, _Pieces(body))
        finally:
            self._free.release()


class _Pieces(Iterator[bytes]):
    """The pieces of a body, with the `close` that granian calls after the last one or when the connection ended."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = memoryview(body), 0

    def __next__(self) -> bytes:
        piece = self._body[self._at : self._at + PIECE]
        if not piece:
            raise StopIteration
        self._at += PIECE
        return bytes(piece)

    def close(self) -> None:
        """Free the memory of the body."""
        self._body = memoryview(b"")
