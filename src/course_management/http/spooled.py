"""Bodies of exports: written from the database in a connection of its own, before they are sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import IO, Any

from ..config import Settings
from ..database import own_connection, snapshot
from ..spooled_body import SpooledBody

PAUSE_S = 0.0005
"""Pause of an export after each few rows: it keeps the interpreter lock, for which requests wait, for 1 ms at most."""


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
