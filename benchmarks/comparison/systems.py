"""What is measured: how each system is started, and how its data is looked at behind its back."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
from sqlalchemy import text
from sqlalchemy.engine import URL
from tests.support.databases import PATIENCE_S
from tests.support.real_server import end, free_port, until

from course_management import create_app
from course_management.access import key_management as keys

from .data import connected

HERE = Path(__file__).parent
REFERENCE = HERE.parent / "reference"
PRODUCTION_BIN = Path(sys.prefix) / "production" / "bin"
REFERENCE_BIN = Path(sys.prefix) / "reference" / "bin"
"""Virtual environments with only the required packages; `make bench` creates them."""
PROCESSES = 2
POOL = 10
"""Connections of each process of a reference; more did not make one of them faster."""


class System:
    """A server process with a log file. It is ready when `address` responds."""

    address = "/students/1/courses"
    authorization = ""
    """The Authorization header of the clients; empty: none."""

    def __init__(
        self,
        name: str,
        folder: Path,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        cwd: Path,
        *,
        port: int,
    ) -> None:
        self.name, self.port = name, port
        log = folder / f"{port}.log"
        with log.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - a fixed command
                [str(each) for each in command],
                env={**os.environ, **environment},
                cwd=cwd,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(lambda: self.process.poll() is not None or self._responds(), f"a response of {name}")
        if self.process.poll() is not None:
            raise RuntimeError(f"{name} did not start:\n{log.read_text()[-2000:]}")

    def _responds(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        with contextlib.suppress(OSError):
            connection.request("GET", self.address, headers=self.headers())
            return connection.getresponse().status == http.HTTPStatus.OK
        return False

    def headers(self) -> dict[str, str]:
        """Return the headers of each request."""
        return {"Authorization": self.authorization} if self.authorization else {}

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes."""
        found: list[psutil.Process] = psutil.Process(self.process.pid).children()
        return found

    def close(self) -> None:
        """End the server and its workers."""
        end(self.process)


class Enrollment(System):
    """A system with the enrollment API, on a separate database."""

    table = "enrollments"
    new_course = "INSERT INTO courses (code, title, capacity) VALUES (:code, 'Hot', :seats)"

    def __init__(
        self, name: str, folder: Path, url: URL, command: Sequence[str | Path], environment: Mapping[str, str]
    ) -> None:
        port = free_port()
        # Each system reads the variables that it knows.
        given = {"PORT": str(port), "POOL": str(POOL), "PROCESSES": str(PROCESSES), **environment}
        filled = [str(each).replace("PORT", str(port)) for each in command]
        super().__init__(name, folder, filled, given, REFERENCE, port=port)
        self.url = url

    def make_course(self, seats: int) -> int:
        """Create a course without enrollments, and return its id."""
        with connected(self.url) as connection:
            code = f"H{os.urandom(6).hex()}"
            return int(
                connection.execute(text(f"{self.new_course} RETURNING id"), {"code": code, "seats": seats}).scalar_one()
            )

    def sold(self, course_id: int) -> int:
        """Return the number of enrolled students, counted in the database."""
        status = "AND status = 'enrolled'" if self.table == "student_courses" else ""
        with connected(self.url) as connection:
            count = text(f"SELECT count(*) FROM {self.table} WHERE course_id = :id {status}")
            return int(connection.execute(count, {"id": course_id}).scalar_one())


class ThisService(Enrollment):
    """This service as in production: two workers, default settings."""

    table = "student_courses"
    new_course = (
        "INSERT INTO courses (code, title, capacity, created_at) VALUES (:code, 'Hot', :seats, CURRENT_TIMESTAMP)"
    )

    def __init__(
        self,
        name: str,
        folder: Path,
        url: URL,
        workers: int = PROCESSES,
        *,
        with_key: bool = False,
        source: Path | None = None,
    ) -> None:
        """Start it; with `source`, the package of that folder instead of the installed one."""
        database = url.render_as_string(hide_password=False)
        if with_key:
            with create_app({"DATABASE_URL": database}).app_context():
                self.authorization = f"Bearer {keys.create('benchmark', ['admin']).secret}"
        environment = {
            "DATABASE_URL": database,
            "WORKERS": str(workers),
            "LOG_FORMAT": "json",
            "PYTHON_DOTENV_DISABLED": "1",
            **({"PYTHONPATH": str(source)} if source else {}),
        }
        super().__init__(name, folder, url, [PRODUCTION_BIN / "course-management", "serve"], environment)


class FastApi(Enrollment):
    """FastAPI with async SQLAlchemy on asyncpg, served by uvicorn."""

    def __init__(self, folder: Path, url: URL) -> None:
        command: list[str | Path] = [
            *(REFERENCE_BIN / "uvicorn", "fastapi_app:app", "--port", "PORT", "--workers", str(PROCESSES)),
            *("--no-access-log", "--log-level", "warning"),
        ]
        environment = {"ASYNCPG_URL": url.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)}
        super().__init__("FastAPI, asyncpg", folder, url, command, environment)


class FlaskOrm(Enrollment):
    """Flask with SQLAlchemy's ORM, served by gunicorn's threads."""

    def __init__(self, folder: Path, url: URL) -> None:
        command: list[str | Path] = [
            *(REFERENCE_BIN / "gunicorn", "flask_app:app", "--bind", "127.0.0.1:PORT", "--workers", str(PROCESSES)),
            *("--worker-class", "gthread", "--threads", str(POOL), "--log-level", "warning"),
        ]
        environment = {"PSYCOPG_URL": url.render_as_string(hide_password=False)}
        super().__init__("Flask, ORM, gunicorn", folder, url, command, environment)


class Express(Enrollment):
    """Express with raw SQL through pg, on Node's cluster."""

    def __init__(self, folder: Path, url: URL) -> None:
        environment = {
            "PGHOST": str(url.query["host"]),
            "PGUSER": str(url.username),
            "PGDATABASE": str(url.database),
            "NODE_ENV": "production",
        }
        node = shutil.which("node") or "node"
        super().__init__("Express, pg", folder, url, [node, REFERENCE / "express" / "server.js"], environment)


class Hello(System):
    """One of `hello.py` on the service's server, with the same threads."""

    address = "/"

    def __init__(self, name: str, folder: Path, application: str) -> None:
        port = free_port()
        command: list[str | Path] = [
            *(PRODUCTION_BIN / "granian", "--interface", "wsgi", "--port", str(port), "--workers", str(PROCESSES)),
            *("--blocking-threads", "2", "--log-level", "warning", f"hello:{application}"),
        ]
        super().__init__(name, folder, command, {}, HERE, port=port)
