"""Start `course-management worker` as a separate process."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL

from ..support.real_server import COMMAND, end, environment


@contextmanager
def working(folder: Path, database: URL, name: str = "worker") -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run `course-management worker` on a database; yield the process, and its log."""
    log = folder / f"{name}.log"
    settings = environment(database, 1, LOG_FORMAT="json", BACKGROUND="off")
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - a fixed command
            [*COMMAND[:-1], "worker"], env=settings, cwd=folder, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process, log
    finally:
        end(process)
