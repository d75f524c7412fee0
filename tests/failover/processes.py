"""Start programs as an unprivileged user, and kill, stop and continue whole servers."""

from __future__ import annotations

import contextlib
import ctypes
import grp
import os
import pwd
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from ..support.databases import PATIENCE_S

USER = "postgres"
"""The user that the programs run as if this process is root: PostgreSQL refuses to."""
REAP_S = 0.25
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of orphaned servers, and wait for them when they end.

    Where no process does that, they stay as zombies, and Patroni and PostgreSQL take them for running ones.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    threading.Thread(target=_wait_for_orphans, daemon=True).start()


def _wait_for_orphans() -> None:
    while True:
        time.sleep(REAP_S)
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.NoSuchProcess, ChildProcessError):
                if child.status() == psutil.STATUS_ZOMBIE and child.name() == "postgres":
                    os.waitpid(child.pid, os.WNOHANG)


def give(folder: Path) -> Path:
    """Create a folder for the unprivileged user."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if os.geteuid() == 0:
        shutil.chown(folder, USER, USER)
    return folder


def user() -> str:
    """Return the name of the user that the programs run as."""
    return USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def group() -> str:
    """Return the name of that user's group."""
    return grp.getgrgid(pwd.getpwnam(user()).pw_gid).gr_name


def start(command: Sequence[str | Path], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; its output goes to `log`."""
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        as_user = {"user": user(), "group": group(), "extra_groups": []}
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - the programs of the cluster
            list(map(str, command)),
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environment},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **as_user,
        )


def with_children(pids: Iterable[int]) -> list[psutil.Process]:
    """Return the running processes among these, each with all its children."""
    processes = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            processes += [process, *process.children(recursive=True)]
    return list(dict.fromkeys(processes))


def send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to those that still run."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def kill(pids: Sequence[int]) -> None:
    """SIGKILL for these processes and all their children, also those that they start meanwhile."""
    send(with_children(pids), signal.SIGSTOP)
    processes = with_children(pids)
    send(processes, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
    for process in processes:
        while _is_running(process):
            assert time.monotonic() < deadline, f"{process} survived SIGKILL"
            time.sleep(0.01)


def _is_running(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False
