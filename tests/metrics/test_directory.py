"""The files of worker processes: counters of ended ones are kept, and their gauges are not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from course_management.metrics import directory

from ..support.real_server import Server, free_port, serving, sqlite, until

COUNT = """
import os, sys
from course_management import metrics
instruments = metrics.start()
metrics.promoted(int(sys.argv[1]))
metrics.watch("requests_waiting", lambda: 5)
instruments.flush()
instruments._sample()
if sys.argv[2] == "stay":
    print("ready", flush=True)
    sys.stdin.read()
os._exit(0)
"""
READ = "from course_management.metrics import exposition; print(exposition.text().decode())"


def run(path: Path, *arguments: str) -> str:
    command = [sys.executable, "-c", *arguments]
    return subprocess.run(  # noqa: S603 - fixed commands
        command, env=os.environ | {directory.VARIABLE: str(path)}, check=True, capture_output=True, text=True
    ).stdout


def value(text: str, name: str) -> float:
    found = re.search(rf"^course_management_{name} (\S+)$", text, re.MULTILINE)
    assert found, text
    return float(found[1])


def test_the_counts_of_ended_processes_stay_and_their_gauges_go(tmp_path: Path) -> None:
    for students in (1, 2):
        run(tmp_path, COUNT, str(students), "end")
        directory.sweep(tmp_path)
        directory.sweep(tmp_path)
    living = subprocess.Popen(  # noqa: S603 - a fixed command
        [sys.executable, "-c", COUNT, "4", "stay"],
        env=os.environ | {directory.VARIABLE: str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert living.stdout
        living.stdout.readline()
        directory.sweep(tmp_path)
        text = run(tmp_path, READ)
    finally:
        living.communicate()

    assert value(text, "promotions_total") == 1 + 2 + 4
    assert value(text, "requests_waiting") == 5  # of the living process only
    names = {re.sub(r"\d+", "PID", file.name) for file in tmp_path.glob("*.db")}
    assert names == {
        "counter_PID.db",
        "gauge_livesum_PID.db",
        "histogram_PID.db",
        "counter_ended.db",
        "histogram_ended.db",
    }


def test_a_file_that_a_killed_process_left_torn_is_removed(tmp_path: Path) -> None:
    run(tmp_path, COUNT, "1", "end")
    (file,) = tmp_path.glob("counter_*.db")
    (tmp_path / "counter_999999999.db").write_bytes(file.read_bytes()[:20])
    (tmp_path / "histogram_999999999.db").touch()

    directory.sweep(tmp_path)

    assert value(run(tmp_path, READ), "promotions_total") == 1
    assert {file.name for file in tmp_path.glob("*.db")} == {"counter_ended.db", "histogram_ended.db"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("metrics")
    with serving(folder, TMPDIR=str(folder), METRICS_PORT=str(free_port())) as server:
        yield server


def scrape(server: Server) -> str:
    """Return the metrics from METRICS_PORT."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.environment['METRICS_PORT']}/metrics") as response:
        return str(response.read().decode())


def courses_read(server: Server) -> float:
    label = 'http_request_duration_seconds_count{method="GET",route="/students/<id:student_id>/courses",status="200"}'
    return value(scrape(server).replace(label, "courses_read"), "courses_read") if label in scrape(server) else 0


def test_every_worker_reports_the_requests_of_all_of_them_also_after_one_was_killed(server: Server) -> None:
    for _ in range(20):
        assert server.ask("GET", "/students/1/courses")[0] == 200
    until(lambda: courses_read(server) == 20, "the count of all requests")

    os.kill(server.workers()[0], signal.SIGKILL)
    until(lambda: len(server.workers()) == 3, "a new worker")
    until(server.responds, "a response")

    until(lambda: value(scrape(server), "processes_started_total") == 3, "the start of the new worker")
    until(lambda: value(scrape(server), "request_threads") == 4, "the gauges of two workers")
    assert courses_read(server) == 20


def test_a_metrics_port_in_use_is_one_sentence(server: Server, tmp_path: Path) -> None:
    second = Server(tmp_path, sqlite(server.folder), METRICS_PORT=server.environment["METRICS_PORT"])
    try:
        assert second.process.wait(60) == 2
    finally:
        second.end()

    assert "METRICS_PORT" in second.log.read_text()
    assert "Traceback" not in second.log.read_text()


def directory_of(server: Server) -> Path:
    """Return the directory whose files the last worker has mapped, once it has."""
    maps = Path(f"/proc/{server.workers()[-1]}/maps")
    found = until(lambda: re.search(r"(\S+)/counter_\d+\.db", maps.read_text()), "a file of counters")
    return Path(found[1])


def test_the_directory_is_private_and_ends_with_the_server_also_after_it_was_killed(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        abandoned = directory_of(server)
        server.kill()
        assert abandoned.exists()
        server.start()
        server.wait()
        path = directory_of(server)
        assert not abandoned.exists()
        assert path.stat().st_mode & 0o777 == 0o700
        directory.remove_abandoned(path.parent)
        assert path.exists()  # it is in use

    assert not path.exists()
