"""Measure what the metrics cost an enrollment request: the same with and without them, in turn, in one process.

Each pair is two requests, one noted and one not, in random order. The figures are CPU time of the thread, because that
is what the metrics take; on SQLite, enrolling takes the least of it, so the share is the largest. Counting what was
noted is another thread's work, so its time is added. The process keeps its counters in a directory like a worker. The
enrolls have an API key, as in production. Run with `python -m benchmarks.metrics [PAIRS]`.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from werkzeug.test import EnvironBuilder, run_wsgi_app

from course_management import create_app, log_output, metrics
from course_management.access import key_management as keys
from course_management.database import migrations
from course_management.metrics import instruments as instruments_module
from course_management.metrics.directory import shared_by_workers

WARM_UP = 200
COUNTING = ("request_done", "request_waited", "outcomes", "event")


def main(pairs: int) -> None:
    """Measure, and print the result."""
    random.seed(1)
    with tempfile.TemporaryDirectory() as folder, shared_by_workers():
        os.environ |= {"DATABASE_URL": f"sqlite:///{Path(folder) / 'enrollment.db'}", "PYTHON_DOTENV_DISABLED": "1"}
        migrations.upgrade(lambda *_: None)
        output = os.dup(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # log lines are written as in production, and discarded
        app = create_app({"LOG_FORMAT": "json"})
        instruments_module.FLUSH_S = 1e6  # what is noted stays until it is measured here
        instruments = metrics.start()
        _make_courses(app, pairs + WARM_UP)
        with app.app_context():
            key = keys.create("benchmark", ["admin"]).secret
        measured = list(_measure(app.wsgi_app, key, pairs + WARM_UP))[WARM_UP:]
        counting = _time(instruments.flush) / (pairs + WARM_UP)
        log_output.drain_all()
        os.dup2(output, 1)
    without = statistics.median(off for _, off in measured)
    costs = sorted(on - off for on, off in measured)
    # The order statistics that contain the median with a probability of 95 %.
    margin = round(0.98 * len(costs) ** 0.5)
    low, cost, high = (costs[len(costs) // 2 + shift] for shift in (-margin, 0, margin))
    print(f"pairs               {len(measured)}")
    print(f"a request without   {without:.0f} µs")
    print(f"to note it          {cost:.1f} µs (95 %: {low:.1f} to {high:.1f})")
    print(f"to count it         {counting:.1f} µs")
    print(f"cost of metrics     {(cost + counting) / without:.1%} of a request")


def _make_courses(app: Any, count: int) -> None:
    client = app.test_client()
    for name in ("Ada", "Grace"):
        client.post("/students", json={"name": name})
    for number in range(count):
        client.post("/courses", json={"code": f"C{number}", "title": "T"})


def _measure(wsgi: Any, key: str, pairs: int) -> Iterator[tuple[float, float]]:
    """Enroll two students in one course after the other. Yield microseconds with and without metrics."""
    for course_id in range(1, pairs + 1):
        students = {True: 1, False: 2} if random.random() < 0.5 else {False: 2, True: 1}  # noqa: PLR2004, S311
        micros = {}
        for counts, student_id in students.items():
            path = f"/students/{student_id}/enroll"
            environ = EnvironBuilder(path, method="POST", json={"course_ids": [course_id]}).get_environ()
            environ |= {"REMOTE_ADDR": "127.0.0.1", "HTTP_AUTHORIZATION": f"Bearer {key}"}
            with _counting(counts):
                micros[counts] = _time(lambda environ=environ: _serve(wsgi, environ))  # type: ignore[misc]
        yield micros[True], micros[False]


def _serve(wsgi: Any, environ: Any) -> None:
    metrics.request_waited(0.0001)  # as the request queue does
    _, status, _ = run_wsgi_app(wsgi, environ)
    assert status.startswith("201"), status  # noqa: S101


def _time(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return (time.thread_time() - began) * 1e6


@contextmanager
def _counting(counts: bool) -> Iterator[None]:
    """Replace the functions that count by one that does nothing, unless `counts`."""
    functions = {name: getattr(metrics, name) for name in COUNTING}
    try:
        for name in () if counts else COUNTING:
            setattr(metrics, name, lambda *_: None)
        yield
    finally:
        for name, function in functions.items():
            setattr(metrics, name, function)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
