"""Standard input, output and error, each of which may be closed when a command starts."""

from __future__ import annotations

import os

STANDARD = (0, 1, 2)


def open_closed_ones() -> None:
    """Open each standard descriptor that is closed, on /dev/null.

    Otherwise the next file that is opened gets its number, and what is printed would be written into that file: a
    database, perhaps.
    """
    for descriptor in STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, so this one
