"""Run `course-management`, and note in files which waves are being sent: so a proof kills in the middle of them.

Each thread that sends waves has a file of two bytes, which is mapped into its memory, and so survives SIGKILL: how many
changes of requests the wave has that it is sending (0: it sends none), and how many waves of several changes have lost
their connection. As a program, this file imports nothing of the tests.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

FOLDER = "PROOF_WAVES"
"""The environment variable that names the folder of the files."""
SEVERAL = 2
LARGEST = 255


class Observed:
    """The waves of the processes that run this file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self.settings = {FOLDER: str(folder)}

    def are_sending_changes(self, pids: Iterable[int]) -> bool:
        """Return whether one of these processes sends a wave with the changes of several requests, or died so."""
        return any(changes >= SEVERAL for pid in pids for changes, _ in self._read(f"{pid}-*"))

    def lost(self) -> int:
        """Return how many waves with the changes of several requests have lost their connection."""
        return sum(lost for _, lost in self._read("*"))

    def _read(self, names: str) -> Iterator[bytes]:
        return filter(None, (file.read_bytes() for file in self._folder.glob(names)))  # a new one may still be empty


def observe() -> None:
    """Note the waves of this process, and of those that it starts."""
    from course_management.database import waves  # noqa: PLC0415 - not in the process that reads the files

    send, of_thread = waves._Wave.send, threading.local()  # noqa: SLF001 - the only place that knows of each wave

    def noting(wave: Any) -> Iterator[Any]:
        if not hasattr(of_thread, "notes"):
            of_thread.notes = _notes()
        notes, calls = of_thread.notes, [*wave._calls]  # noqa: SLF001
        notes[0] = min(wave.writes, LARGEST)
        yield from send(wave)
        notes[0] = 0
        if wave.writes >= SEVERAL and any(getattr(call.error, "connection_invalidated", False) for call in calls):
            notes[1] = min(notes[1] + 1, LARGEST)

    waves._Wave.send = noting  # type: ignore[method-assign, assignment] # noqa: SLF001


def _notes() -> mmap.mmap:
    path = Path(os.environ[FOLDER], f"{os.getpid()}-{threading.get_native_id()}")
    path.write_bytes(bytes(2))
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), 2)


def command(*arguments: str) -> list[str]:
    """Return a command line of the service whose waves are noted."""
    return [sys.executable, "-P", __file__, *arguments]


if __name__ == "__main__":
    from course_management.__main__ import main

    observe()
    sys.argv[0] = "course-management"
    main()
