"""PgBouncer in transaction mode between the service and PostgreSQL: the transactions of all clients share sessions."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import URL, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from course_management.database.session_settings import DURABLE, EXACT, FAST

from ..support.real_server import PATIENT, free_port, until
from . import random_operations
from .report import Check
from .stage import Skipped, Stage

OLDEST = (1, 21)
"""The first version that keeps prepared statements in transaction mode."""
SESSIONS = 3
"""Fewer than the connections of the service: so they change between transactions."""
LIMITS = {"lock_timeout": "1200", "statement_timeout": "1400", "idle_in_transaction_session_timeout": "5000"}


def prove(stage: Stage, seed: int, operations: int) -> tuple[dict[str, Any], list[Check]]:
    """Run random operations through it."""
    with _pgbouncer(stage) as url:
        stage.serve(url, **PATIENT)
        return random_operations.prove(stage, seed, operations)


@contextmanager
def _pgbouncer(stage: Stage) -> Iterator[URL]:
    """Start it as docs/postgresql.md says; return the address. Raises `Skipped` where there is none that can."""
    program = shutil.which("pgbouncer")
    if program is None:
        raise Skipped("there is no pgbouncer")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    version = re.search(r"PgBouncer (\d+)\.(\d+)", said)
    if version is None or tuple(map(int, version.groups())) < OLDEST:
        raise Skipped("pgbouncer is older than 1.21")
    with stage.engine.begin() as connection:
        for name, value in {**EXACT, **FAST, **DURABLE, **LIMITS}.items():
            connection.exec_driver_sql(f"ALTER DATABASE \"{stage.url.database}\" SET {name} = '{value}'")
    assert stage.postgresql
    sockets, port = stage.postgresql.folder, free_port()
    configuration = stage.folder / "pgbouncer.ini"
    configuration.write_text(f"""
[databases]
* = host={sockets} user={stage.url.username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {SESSIONS}
max_prepared_statements = 200
ignore_startup_parameters = options
""")
    url = stage.url.set(host="127.0.0.1", port=port, query={})
    user = ["--user", pwd.getpwuid(sockets.stat().st_uid).pw_name] if os.getuid() == 0 else []  # it refuses root
    with subprocess.Popen([program, *user, str(configuration)], stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            until(lambda: process.poll() is not None or _responds(url), "PgBouncer")
            yield url
        finally:
            process.kill()  # after SIGTERM, it would wait for its clients


def _responds(url: URL) -> bool:
    with suppress(DBAPIError), create_engine(url, poolclass=NullPool).connect():
        return True
    return False
