"""Slow clients, idle clients, and ten times the load, against the running service; what it takes from the others.

    python benchmarks/overload.py --url http://127.0.0.1:8000 --path /students/1/courses

Beside each of them, GET /healthz is asked ten times a second on new connections. `wrk` puts the load on. A figure is
only worth something when nobody else uses the machine: the clients and the service share its processors.
"""

from __future__ import annotations

import http.client
import re
import resource
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple
from urllib.parse import urlsplit

import click

POST = b"POST /students HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
EVERY_S = 5.0
OK = 200
GOOD_S, GOOD_IN_A_ROW, PATIENCE_S = 0.5, 20, 60.0


class Slow(NamedTuple):
    """A way to be slow: what is sent at first, and then every five seconds."""

    name: str
    connections: int
    first: bytes
    then: bytes = b""


def attacks(path: str) -> list[Slow]:
    """The slow clients, in the sizes that were promised."""
    get = f"GET {path} HTTP/1.1\r\nHost: x\r\n".encode()
    return [
        Slow("slow headers", 500, get, b"X"),
        Slow("slow bodies", 500, POST + b"Content-Length: 1000\r\n\r\n{", b" "),
        Slow("slow chunked bodies", 500, POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        Slow("slow readers", 500, (get + b"\r\n") * 10),
        Slow("idle connections", 5000, get + b"\r\n"),
    ]


class Health:
    """Asks /healthz ten times a second; the seconds of each answer, and how many were none."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._stop = threading.Event()
        self.seconds: list[float] = []
        self.failures = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Ask during this."""
        thread = threading.Thread(target=self._ask)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _ask(self) -> None:
        while not self._stop.wait(0.1):
            seconds = ask(self._host, self._port, "/healthz")
            if seconds is None:
                self.failures += 1
            else:
                self.seconds.append(seconds)

    def __str__(self) -> str:
        worst = f"{max(self.seconds) * 1000:.0f} ms" if self.seconds else "never"
        return f"health: worst of {len(self.seconds)} {worst}, {self.failures} failed"


def ask(host: str, port: int, path: str) -> float | None:
    """The seconds of an answer 200 on a new connection, or None."""
    begun = time.monotonic()
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path)
        return time.monotonic() - begun if connection.getresponse().status == OK else None
    except OSError:
        return None
    finally:
        connection.close()


def attack(slow: Slow, host: str, port: int, seconds: float) -> str:
    """Be slow for so long; how many of the connections were had, and how many the server has ended."""
    found: list[socket.socket] = []
    for _ in range(slow.connections):
        with suppress(OSError):
            each = socket.socket()
            found.append(each)
            if slow.name == "slow readers":
                each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            each.settimeout(EVERY_S)
            each.connect((host, port))
            each.sendall(slow.first)
            each.setblocking(False)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(min(EVERY_S, max(0.0, until - time.monotonic())))
        for each in found:
            with suppress(OSError):
                each.send(slow.then)
    ended = 0
    for each in found:
        try:
            while data := each.recv(65536):
                pass
            ended += not data
        except BlockingIOError:
            pass
        except OSError:
            ended += 1
        each.close()
    return f"{len(found)} connections, {ended} ended by the server"


def load(url: str, connections: int, seconds: int) -> tuple[float, float, str]:
    """Answers and refusals a second, and the 99th percentile, with so many connections."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise click.ClickException("wrk puts the load on: apt install wrk")
    arguments = [wrk, "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "10", "--latency", url]
    said = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own
    total = re.search(r"(\d+) requests in", said)
    others = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    slowest = re.search(r"99%\s+([\d.]+\w+)", said)
    refused = int(others[1]) if others else 0
    answered = int(total[1]) - refused if total else 0
    return answered / seconds, refused / seconds, slowest[1] if slowest else "?"


def until_normal(host: str, port: int, path: str) -> float:
    """Seconds until so many answers in a row are good and quick."""
    begun = time.monotonic()
    good, first = 0, begun
    while good < GOOD_IN_A_ROW and time.monotonic() < begun + PATIENCE_S:
        seconds = ask(host, port, path)
        if seconds is None or seconds > GOOD_S:
            good, first = 0, time.monotonic()
        else:
            good += 1
    return first - begun


@click.command()
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="The running service.")
@click.option("--path", default="/students/1/courses", show_default=True, help="What is asked for.")
@click.option("--seconds", default=12, show_default=True, help="How long each of them lasts.")
@click.option("--connections", default=32, show_default=True, help="So many make the peak; ten times as many follow.")
def main(url: str, path: str, seconds: int, connections: int) -> None:
    """Be slow, idle and many, one after the other, and print what became of the service."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    host, port = urlsplit(url).hostname or "127.0.0.1", urlsplit(url).port or 80
    for slow in attacks(path):
        health = Health(host, port)
        with health.watched():
            became = attack(slow, host, port, seconds)
        click.echo(f"{slow.name:20} {became}; {health}; normal after {until_normal(host, port, path):.1f} s")
    peak, _, slowest = load(url + path, connections, seconds)
    click.echo(f"peak                 {peak:.0f} answers a second with {connections} connections, 99 % in {slowest}")
    for factor in (10, 50):
        health = Health(host, port)
        with health.watched():
            answered, refused, slowest = load(url + path, factor * connections, seconds)
        click.echo(
            f"{factor} times as many     {answered:.0f} answers a second ({answered / peak:.0%} of the peak), "
            f"{refused:.0f} refused a second, 99 % in {slowest}; {health}; "
            f"normal after {until_normal(host, port, path):.1f} s"
        )


if __name__ == "__main__":
    main()
