"""Bodies of responses that are too large for memory: written to a temporary file first, then sent from there.

So the database is read at its own speed and in one snapshot, however slowly the client reads. An error while the file
is written is an error response, and the length is known before the first byte.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from typing import IO, Any, TypeAlias

from .config import Settings
from .database import own_connection, snapshot

Write: TypeAlias = Callable[[IO[bytes]], object]
PIECE = 64 * 1024
"""Bytes that are read from the file at once."""
PAUSE_S = 0.0005
"""Pause of an export after each few rows: it keeps the interpreter lock for 1 ms at most, which enrolls wait for."""


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


def body_of_snapshot(settings: Settings, write: Callable[..., object], *arguments: Any) -> SpooledBody:
    """Return a body that is written from one snapshot, without a connection of the requests.

    `write` gets the file, the connection, the `arguments`, and a function to call after each few rows.
    """

    def write_to(file: IO[bytes]) -> None:
        with own_connection(settings), snapshot() as connection:
            write(file, connection, *arguments, lambda _: time.sleep(PAUSE_S))

    return SpooledBody(write_to)


def body_of_own_connection(settings: Settings, write: Callable[..., object], *arguments: Any) -> SpooledBody:
    """Return a body that is written with a connection of its own. `write` gets the same, but no connection."""

    def write_to(file: IO[bytes]) -> None:
        with own_connection(settings):
            write(file, *arguments, lambda _: time.sleep(PAUSE_S))

    return SpooledBody(write_to)
