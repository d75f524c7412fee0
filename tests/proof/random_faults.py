"""Faults outside of the service, at random, under load: no request waits long, nothing acknowledged is lost.

The database freezes or is busy, Redis and the issuer stop responding, the reader of the log stalls and at last goes
away, workers are killed. Clients come with an API key, so that each request is counted in Redis, while others send
tokens signed with keys that the issuer never published.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psutil

from course_management import create_app
from course_management.database import db

from ..access.issuer import LocalIssuer, running
from ..support.databases import PATIENCE_S
from ..support.keys import create_key
from ..support.real_server import free_port, until
from .clients import Caller
from .kills import is_ready, kill_a_worker, serving
from .load import Load
from .report import Check
from .settled import settled
from .stage import Stage

CLIENTS = 12
LONGEST_S = 6.0
"""A request may wait 3 s for a thread, and then has about 3 s for the database."""
FAULT_S = (0.5, 6.0)
PAUSE_S = (0.2, 3.0)
"""From and to: how long a fault lasts, and how long it is quiet afterwards."""


def prove(stage: Stage, seed: int, seconds: int) -> tuple[dict[str, Any], list[Check]]:
    """Faults at random for so many seconds, one at a time or two."""
    chance = random.Random(seed)  # noqa: S311 - when to disturb what
    met: Counter[str] = Counter()
    with ExitStack() as stack:
        issuer = stack.enter_context(running())
        redis = stack.enter_context(_redis())
        reader = LogReader(stage.log)
        stage.serve(stage.url, reader.write_end, **_settings(issuer, redis))
        os.close(reader.write_end)  # the server has it: when the server ends, so does the reader
        faults: dict[str, Callable[[float], None]] = {
            "worker killed": lambda _: kill_a_worker(stage),
            "issuer silent": lambda lasts: _silent(issuer, lasts),
            "log reader stalled": reader.stall,
        }
        if redis.process:
            process = redis.process
            faults["Redis frozen"] = lambda lasts: _frozen([process], lasts)
        if stage.postgresql:
            postgresql = stage.postgresql
            faults["PostgreSQL frozen"] = lambda lasts: _frozen(postgresql.processes(), lasts)
        else:
            faults["SQLite busy"] = lambda lasts: _busy(stage, lasts)
        load = stack.enter_context(closing(Load(stage, seed, CLIENTS, faults=True)))
        strangers = Strangers(stage.server.port, issuer)
        authorization = f"Bearer {_key(stage)}"
        for client in load.clients:
            client.caller.headers["Authorization"] = authorization

        def disturb() -> None:
            until(lambda: all(client.done > 1 for client in load.clients), "load")
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                names = chance.sample(sorted(faults), chance.choice([1, 1, 2]))
                lasts = min(chance.uniform(*FAULT_S), max(FAULT_S[0], end - time.monotonic()))
                threads = [threading.Thread(target=faults[name], args=(lasts,)) for name in names]
                for each in threads:
                    each.start()
                for each in threads:
                    each.join()
                met.update(names)
                if not reader.is_gone and time.monotonic() > end - seconds / 3:
                    reader.go()
                    met["log reader gone"] += 1
                time.sleep(chance.uniform(*PAUSE_S))
                if "worker killed" in names:
                    serving(stage)  # granian gives up on a worker that dies twice in seconds

        with strangers:
            load.run_during(disturb)
        until(lambda: is_ready(stage), "readiness at the end")
        waves = stage.waves()
        waited = [each.longest_s for each in (strangers.caller, *(client.caller for client in load.clients))]
        figures = {
            **met,
            "operations": load.operations,
            "changes": len(load.union("claims")),
            "503": load.count("503"),
            "responses lost": load.count("responses lost"),
            "refused tokens": strangers.caller.seen["refused"],
            **waves.figures(),
            "longest wait in s": round(max(waited), 1),
        }
        checks = [
            Check(
                "faults that never came", [name for name in faults if not met[name]] if seconds > PATIENCE_S else [], []
            ),
            *([waves.check()] if seconds > PATIENCE_S else []),
            Check("clients that waited longer than 6 s", sum(each > LONGEST_S for each in waited)),
            Check("503 without Retry-After", load.count("503 without Retry-After")),
            Check("tokens of strangers that were let in", strangers.caller.seen["let in"]),
            *settled(load),
            *stage.verified(promoting=True),
        ]
        return figures, checks


def _settings(issuer: LocalIssuer, redis: Redis) -> dict[str, str]:
    return {
        **{name.upper(): value for name, value in issuer.settings.items()},
        "RATELIMIT_STORAGE_URI": redis.url,
        "RATELIMIT_SERVICE_READS": "1000000 per minute",
        "RATELIMIT_SERVICE_WRITES": "1000000 per minute",
    }


def _key(stage: Stage) -> str:
    app = create_app({"DATABASE_URL": stage.url.render_as_string(hide_password=False), "LOG_LEVEL": "error"})
    with app.app_context():
        key = create_key("proof", ["admin"])
        db.engine.dispose()
    return key


# --- the faults ---------------------------------------------------------------------------------------------


def _frozen(processes: list[psutil.Process], lasts: float) -> None:
    """SIGSTOP for all of them, as when their machine freezes."""
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.suspend()
    try:
        time.sleep(lasts)
    finally:
        for each in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.resume()


def _busy(stage: Stage, lasts: float) -> None:
    """Another program writes to the file all the time."""
    with closing(sqlite3.connect(str(stage.url.database), timeout=PATIENCE_S, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(lasts)
        other.execute("ROLLBACK")


def _silent(issuer: LocalIssuer, lasts: float) -> None:
    """Let the issuer accept connections without a response."""
    issuer.responding.clear()
    try:
        time.sleep(lasts)
    finally:
        issuer.responding.set()


class Redis:
    """Where requests are counted: a Redis of its own, or, where none is installed, a port that never responds."""

    def __init__(self, port: int, process: psutil.Process | None) -> None:
        self.url, self.process = f"redis://127.0.0.1:{port}", process


@contextmanager
def _redis() -> Iterator[Redis]:
    port = free_port()
    program = shutil.which("redis-server")
    if program is None:
        with socket.create_server(("127.0.0.1", port)):
            yield Redis(port, None)
        return
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen([program, *options], stdout=subprocess.DEVNULL) as process:  # noqa: S603 - a fixed command
        try:
            yield Redis(port, psutil.Process(process.pid))
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


class LogReader:
    """Reads what the server logs, as a log shipper would: it can stall, and go away."""

    def __init__(self, log: Path) -> None:
        self._read_end, self.write_end = os.pipe()
        self._log = log
        self._may_read, self._is_gone = threading.Event(), threading.Event()
        self._may_read.set()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def is_gone(self) -> bool:
        """Return whether writing to the pipe fails."""
        return self._is_gone.is_set()

    def stall(self, lasts: float) -> None:
        """Read nothing for a while: the pipe becomes full."""
        self._may_read.clear()
        time.sleep(lasts)
        self._may_read.set()

    def go(self) -> None:
        """Close the pipe with the next line: from then on, writing to it fails."""
        self._is_gone.set()
        self._thread.join()

    def _work(self) -> None:
        with self._log.open("ab") as log:
            while not self._is_gone.is_set():
                self._may_read.wait()
                if not (lines := os.read(self._read_end, 65_536)):
                    break
                log.write(lines)
                log.flush()
        os.close(self._read_end)


class Strangers:
    """Sends tokens signed with keys that the issuer never published, one after the other."""

    def __init__(self, port: int, issuer: LocalIssuer) -> None:
        self.caller, self._issuer = Caller(port), issuer
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Strangers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.caller.close()

    def _work(self) -> None:
        number = 0
        while not self._over.wait(0.1):
            number += 1
            token = self._issuer.token(headers={"kid": f"unknown-{number}"})
            self.caller.headers["Authorization"] = f"Bearer {token}"
            response = self.caller.once("GET", "/courses")
            if response:
                self.caller.seen["refused" if response.status in {401, 503} else "let in"] += 1
