"""Bodies of responses that are too large for memory: written to a temporary file first, then sent from there.

So the database is read at its own speed and in one snapshot, however slowly the client reads. An error while the file
is written is an error response, and the length is known before the first byte.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from typing import IO, TypeAlias

Write: TypeAlias = Callable[[IO[bytes]], object]
PIECE = 64 * 1024
"""Bytes that are read from the file at once."""


class SpooledBody:
    """A body that `write_to` writes.

    The server (`server.spooled_responses`) writes it in a separate thread. Another WSGI server iterates over it, in the
    thread of the request.
    """

    def __init__(self, write_to: Write) -> None:
        self.write_to = write_to

    def __iter__(self) -> Iterator[bytes]:
        with tempfile.TemporaryFile() as file:
            self.write_to(file)
            file.seek(0)
            while piece := file.read(PIECE):
                yield piece
