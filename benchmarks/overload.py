"""Slow clients, idle clients, and many times the load: what becomes of the service meanwhile, and right afterwards.

    python -m benchmarks.overload --database postgresql --record

Beside each of them, one client asks for /healthz and one enrolls, ten times per second each, on new connections. The
table has the slowest of those responses. The clients share the processors with the service.
"""

from __future__ import annotations

import http.client
import itertools
import math
import resource
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url
from tests.proof.report import fill_in, markdown
from tests.support.databases import ROOT, PostgreSQL, migrate

from .comparison.data import SMALL, fill
from .comparison.load import CONNECTIONS, measure, wrk_program
from .comparison.systems import ThisService

PAGE = ROOT / "docs" / "performance.md"
HEADINGS = [
    "what",
    "connections",
    "responses per second",
    "refused per second",
    "99 % within",
    "health",
    "enroll",
    "normal again",
]
GET = b"GET /students/1/courses HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /students/1/enroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
EVERY_S = 5.0
FACTORS = (1, 10, 50)
ROUNDS = 3
GOOD = {200, 201}
GOOD_S, GOOD_IN_A_ROW, PATIENCE_S = 0.5, 20, 60.0


class Slow(NamedTuple):
    """A way to be slow: what is sent at first, and then every five seconds."""

    name: str
    connections: int
    first: bytes
    then: bytes = b""
    reads: bool = True


ATTACKS = (
    Slow("slow headers", 500, GET, b"X"),
    Slow("slow bodies", 500, POST + b"Content-Length: 1000\r\n\r\n{", b" "),
    Slow("slow chunked bodies", 500, POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    Slow("slow readers", 500, (GET + b"\r\n") * 10, reads=False),
    Slow("idle connections", 5000, GET + b"\r\n"),
)


class Watch:
    """Asks for one thing ten times a second; how long each response took, and how many were none or another."""

    def __init__(self, port: int, method: str, path: str, body: str | None = None) -> None:
        self._what = (port, method, path, body)
        self._seconds: list[float] = []
        self._failures = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Ask during this."""
        stop = threading.Event()
        thread = threading.Thread(target=self._ask, args=[stop])
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _ask(self, stop: threading.Event) -> None:
        while not stop.wait(0.1):
            seconds = ask(*self._what)
            if seconds is None:
                self._failures += 1
            else:
                self._seconds.append(seconds)

    def __str__(self) -> str:
        worst = f"{max(self._seconds) * 1000:,.0f} ms" if self._seconds else "no response"
        return (
            f"{worst}, {self._failures} of {self._failures + len(self._seconds)} refused" if self._failures else worst
        )


def watchers(port: int) -> list[Watch]:
    """Return one client that requests health, and one that enrolls."""
    return [
        Watch(port, "GET", "/healthz"),
        Watch(port, "POST", "/students/1/enroll", '{"course_id": 1}'),
    ]


@contextmanager
def watched(watches: list[Watch]) -> Iterator[None]:
    """Let these clients send requests during the block."""
    with ExitStack() as stack:
        for each in watches:
            stack.enter_context(each.watched())
        yield


def ask(port: int, method: str, path: str, body: str | None = None) -> float | None:
    """Return the seconds of a successful response on a new connection, or None."""
    begun = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        return time.monotonic() - begun if connection.getresponse().status in GOOD else None
    except OSError:
        return None
    finally:
        connection.close()


def attack(slow: Slow, port: int, seconds: float) -> int:
    """Be slow for so long; how many of the connections are still there then."""
    found: list[socket.socket] = []
    for _ in range(slow.connections):
        with suppress(OSError):
            each = socket.socket()
            found.append(each)
            if not slow.reads:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            each.settimeout(EVERY_S)
            each.connect(("127.0.0.1", port))
            each.sendall(slow.first)
            each.setblocking(False)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(min(EVERY_S, max(0.0, until - time.monotonic())))
        for each in found:
            with suppress(OSError):
                each.send(slow.then)
    there = 0
    for each in found:
        try:
            while each.recv(65536):
                pass
        except BlockingIOError:
            there += 1
        except OSError:
            pass
        each.close()
    return there


def until_normal(port: int) -> float:
    """Return the seconds until that many responses in a row are successful and fast; infinity if they never are."""
    begun = time.monotonic()
    good, first = 0, begun
    while good < GOOD_IN_A_ROW and time.monotonic() < begun + PATIENCE_S:
        seconds = ask(port, "GET", "/students/1/courses")
        if seconds is None or seconds > GOOD_S:
            good, first = 0, time.monotonic()
        else:
            good += 1
    return first - begun if good == GOOD_IN_A_ROW else math.inf


def run(system: ThisService, seconds: int, console: Console) -> Iterator[list[str]]:
    """Be slow, idle and many, one after the other; a line of the table for each."""
    for slow in ATTACKS:
        watches = watchers(system.port)
        with watched(watches):
            there = attack(slow, system.port, seconds)
        console.print(f"{slow.name}: {there} of {slow.connections} connections are still there after {seconds} s")
        normal = f"{until_normal(system.port):.1f} s"
        yield [slow.name, f"{slow.connections:,}", "", "", "", *map(str, watches), normal]
    for load in ("list", "enroll"):
        yield from run_load(system, load, seconds)


def run_load(system: ThisService, load: str, seconds: int) -> Iterator[list[str]]:
    """Enough, ten times and fifty times of it, in turns, as a machine is not as fast the whole time.

    The medians of the rounds, and the slowest of what was watched and of becoming normal.
    """
    levels = [factor * CONNECTIONS for factor in FACTORS]
    watches = {each: watchers(system.port) for each in levels}
    rounds: dict[int, list[tuple[float, float, float, float]]] = {each: [] for each in levels}
    for _, connections in itertools.product(range(ROUNDS), levels):
        with watched(watches[connections]):
            found = measure(
                system,
                load,
                SMALL.students,
                SMALL.courses,
                threads=1,
                seconds=max(1, seconds // ROUNDS),
                connections=connections,
            )
        refused = found["refused"] / found["seconds"]
        answered = found["requests"] / found["seconds"] - refused
        rounds[connections].append((answered, refused, found["p99_ms"], until_normal(system.port)))
    peak = statistics.median(answered for answered, *_ in rounds[levels[0]])
    for connections in levels:
        *rates, normal = zip(*rounds[connections], strict=True)
        answered, refused, p99_ms = map(statistics.median, rates)
        yield [
            *(load, f"{connections:,}", f"{answered:,.0f} ({answered / peak:.0%})", f"{refused:,.0f}"),
            *(f"{p99_ms:,.0f} ms", *map(str, watches[connections]), f"{max(normal):.1f} s"),
        ]


@click.command()
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), default="postgresql", show_default=True)
@click.option("--seconds", default=12, show_default=True, help="How long each of them lasts.")
@click.option("--record", is_flag=True, help="Write what was measured into docs/performance.md.")
def main(database: str, seconds: int, record: bool) -> None:
    """Start the service with 10,000 students, and put on it what it must bear."""
    wrk_program()
    console = Console()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="overload-") as name, ExitStack() as stack:
        url = make_url(f"sqlite:///{name}/overload.db")
        if database == "postgresql":
            postgresql = PostgreSQL(autovacuum="on")
            stack.callback(postgresql.end)
            url = postgresql.url
        migrate(url)
        fill(url, SMALL)
        with closing(ThisService(database, Path(name), url)) as system:
            rows = list(run(system, seconds, console))
    table = Table(*HEADINGS)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if record:
        said = f"{datetime.now(UTC).date().isoformat()}, {database}, {seconds} s each"
        fill_in(PAGE, "<!-- overload -->", "<!-- end of overload -->", f"{said}\n\n{markdown(HEADINGS, rows)}")


if __name__ == "__main__":
    main()
