"""Run the clients of a proof, each in a process of its own; all begin together."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from course_management import create_app
from course_management.database import db

from ..support.real_server import PATIENT
from .stage import Stage

T = TypeVar("T")
PROCESSES = 16

_meet: Callable[[], Any]
_url: str
_folder: Path


def run(stage: Stage, work: Callable[..., T], *arguments: Any) -> list[T]:
    """Call `work` with the number of the process and these arguments in each process. Return what they return."""
    url = stage.url.render_as_string(hide_password=False)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([work.__module__])
    values = (context.Barrier(PROCESSES), url, stage.folder)
    with ProcessPoolExecutor(PROCESSES, context, initializer=_prepare, initargs=values) as pool:
        pending = [pool.submit(work, number, *arguments) for number in range(PROCESSES)]
        return [each.result() for each in pending]


def _prepare(barrier: Any, url: str, folder: Path) -> None:
    global _meet, _url, _folder
    _meet, _url, _folder = barrier.wait, url, folder


@contextmanager
def application(number: int) -> Iterator[Callable[[], Any]]:
    """Enter an application whose log goes into the folder. Yields what waits until all processes are ready."""
    log = os.open(_folder / f"rules-{number}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    app = create_app({"DATABASE_URL": _url, "LOG_LEVEL": "debug", "LOG_FORMAT": "json", **PATIENT})
    with app.app_context():
        yield _meet
        db.engine.dispose()
