"""Threads that a worker process cannot do without."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress


def run_forever(name: str, step: Callable[[], object]) -> None:
    """Call `step` again and again in a daemon thread, whatever it raises.

    Should the thread end all the same, by an exception that another thread sends while it is between two steps,
    another thread takes over.
    """

    def run() -> None:
        try:
            while True:
                with suppress(BaseException):
                    step()
        finally:
            start()

    def start() -> None:
        threading.Thread(target=run, name=name, daemon=True).start()

    start()
