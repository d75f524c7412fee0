"""Threads that a worker process depends on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress


def run_forever(name: str, step: Callable[[], object]) -> None:
    """Call `step` repeatedly in a daemon thread, whatever it raises.

    If the thread ends nevertheless, by an exception that another thread raises in it between two steps, a new thread
    replaces it.
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
