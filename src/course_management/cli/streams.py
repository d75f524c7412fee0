"""Standard input, output and error, which may be closed when a command starts."""

from __future__ import annotations

import os

STANDARD = (0, 1, 2)


def open_closed_ones() -> None:
    """Open each closed standard descriptor on /dev/null.

    Otherwise the next opened file would get its number, and output would be written into that file, perhaps a database.
    """
    for descriptor in STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, so this one
