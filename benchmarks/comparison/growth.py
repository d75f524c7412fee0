"""What stays constant: with a hundred times the data, with 10,000 students on a waitlist, after 100,000 requests."""

from __future__ import annotations

import itertools
import statistics
import time
from collections import defaultdict
from dataclasses import asdict
from typing import Any

from sqlalchemy import text

from .conformance import connect, exchange
from .data import COUNT, Size, connected, settle
from .load import CONNECTIONS, Measure, run
from .systems import PROCESSES, ThisService

QUEUE = 10_000
REPEATS = 150
MEGABYTE = 1_000_000
MANY_REQUESTS = 100_000
LOOKS = 4


def p99(small: tuple[ThisService, Size], large: tuple[ThisService, Size], seconds: int, rounds: int) -> dict[str, Any]:
    """Measure the 99th percentile of enrolling and listing on the small and on the large data set, in milliseconds."""
    found: dict[str, list[Measure]] = defaultdict(list)
    sides = [("small", *small), ("large", *large)]
    for load in ("list", "enroll"):
        for turn in range(rounds):
            for name, system, size in sides if turn % 2 == 0 else reversed(sides):
                found[f"{load} {name}"].append(run(system, load, size, seconds))
    return {name: [asdict(each) for each in measures] for name, measures in found.items()}


def queue(system: ThisService) -> dict[str, float]:
    """Measure the milliseconds (median) to join a waitlist, read the position and unenroll, alone and behind 10,000.

    `middle` is to read a position in the middle of the 10,000.
    """
    times: dict[str, list[float]] = defaultdict(list)
    queues = {"empty": _full_course(system, 0), "long": _full_course(system, QUEUE)}
    settle(system.url)
    connection = connect(system)
    for student, (name, course) in itertools.product(range(QUEUE + 1, QUEUE + 1 + REPEATS), queues.items()):
        body = {"course_ids": [course]}
        for call, method, path, data, expected in (
            ("join", "POST", f"/students/{student}/enroll", {**body, "waitlist": True}, 201),
            ("position", "GET", f"/students/{student}/courses?status=waitlisted", None, 200),
            ("leave", "DELETE", f"/students/{student}/unenroll", body, 200),
        ):
            started = time.perf_counter()
            status, response = exchange(connection, method, path, data)
            times[f"{call} {name}"].append((time.perf_counter() - started) * 1000)
            if status != expected:
                raise RuntimeError(f"{method} {path}: {status} {response}")
        started = time.perf_counter()
        exchange(connection, "GET", f"/students/{QUEUE // 2}/courses?status=waitlisted")
        times["middle"].append((time.perf_counter() - started) * 1000)
    connection.close()
    return {name: round(statistics.median(each), 3) for name, each in times.items()}


def _full_course(system: ThisService, waiting: int) -> int:
    """Create a course without seats and with `waiting` students on the waitlist, and return its id."""
    course = system.make_course(0)
    with connected(system.url) as connection:
        connection.execute(text("UPDATE courses SET waitlist_capacity = NULL WHERE id = :id"), {"id": course})
        if waiting:
            connection.execute(
                text(
                    f"{COUNT} INSERT INTO student_courses (student_id, course_id, status, queue_number)"
                    " SELECT i, :course, 'waitlisted', i FROM n"
                ),
                {"count": waiting, "course": course},
            )
    return course


def memory(system: ThisService, size: Size, seconds: int) -> dict[str, Any]:
    """Measure the memory of the only worker of a system, in MB, at least four times during 100,000 requests.

    It has as many connections as each worker in the other loads.
    """
    (worker,) = system.workers()
    served = 0
    seen: list[tuple[int, float]] = []
    while True:
        seen.append((served, round(worker.memory_info().rss / MEGABYTE, 1)))
        if served >= MANY_REQUESTS and len(seen) >= LOOKS:
            return {"requests and MB": seen}
        for load in ("enroll", "list", "list", "list", "list"):
            served += run(system, load, size, seconds, CONNECTIONS // PROCESSES).requests
