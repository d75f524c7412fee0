"""The directory in which the worker processes of a server keep their counters: `prometheus_client`'s multiprocess mode.

The parent process creates it for each run, before the first worker, and removes it at the end; if all processes of a
server were killed, the next server does. Counters of workers that have ended are added up in one file, so that no count
gets lost or goes down, and the number of files stays small.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..threads import run_forever

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable by which `prometheus_client` knows the directory."""
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the directory in it is private
PREFIX = "course-management-metrics-"
IN_USE = "in-use"
"""The name of the file that a server keeps locked."""
SWEEP_S = 1.0
ENDED = "ended"
"""In the file names of added counters, what the process id is in the others."""


@contextmanager
def shared_by_workers() -> Iterator[None]:
    """Have the workers that this process starts in the block share a directory."""
    # In memory where possible: a process that writes to a mapped file on a full disk is killed (SIGBUS).
    memory = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK | os.X_OK) else None
    path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=memory))
    with (path / "in-use.new").open("w") as in_use:
        fcntl.flock(in_use, fcntl.LOCK_EX)  # until this process and all of its workers have ended
        (path / "in-use.new").rename(path / IN_USE)
        remove_abandoned(path.parent)
        os.environ[VARIABLE] = str(path)
        run_forever("metrics-sweep", lambda: _sweep_later(path))
        try:
            yield
        finally:
            del os.environ[VARIABLE]
            shutil.rmtree(path, ignore_errors=True)


def remove_abandoned(folder: Path) -> None:
    """Remove the directories of servers that were killed with all of their workers."""
    for file in folder.glob(f"{PREFIX}*/{IN_USE}"):
        with suppress(OSError):  # it is in use (`BlockingIOError`), or belongs to another user
            with file.open("a") as in_use:
                fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(file.parent)


def _sweep_later(path: Path) -> None:
    time.sleep(SWEEP_S)
    sweep(path)


def sweep(path: Path) -> None:
    """Add up the counters of processes that have ended, and remove their files."""
    ended = [file for file in path.glob("*.db") if _has_ended(file)]
    if not ended:
        return
    from prometheus_client.mmap_dict import MmapedDict  # noqa: PLC0415 - only where it is needed, as in `start`

    with locked(path, fcntl.LOCK_EX):
        for file in ended:
            kind = file.name.partition("_")[0]
            if kind != "gauge":  # a gauge says what is now
                total = MmapedDict(str(path / f"{kind}_{ENDED}.db"))
                with suppress(struct.error, RuntimeError):  # the process was killed while it wrote the file
                    for key, value, *_ in MmapedDict.read_all_values_from_file(str(file)):
                        total.write_value(key, total.read_value(key)[0] + value, 0.0)
                total.close()
            file.unlink(missing_ok=True)


def _has_ended(file: Path) -> bool:
    pid = file.stem.rpartition("_")[2]
    if pid == ENDED:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # the id belongs to a process of another user now
        return False
    return False


@contextmanager
def locked(path: Path, kind: int) -> Iterator[None]:
    """Hold a lock on the directory: `LOCK_SH` to read its files, `LOCK_EX` to move counters from one to another."""
    with (path / "lock").open("a") as file:
        fcntl.flock(file, kind)  # closing the file releases it
        yield
