"""Measure what pages cost: their bytes, their requests, and their CPU time beside that of the API.

`python benchmarks/pages.py` builds a school on an SQLite file of its own: a term of 200 courses with three meetings
each, and 60 students. It prints, per page, the bytes of the page alone and with styles and scripts (both compressed by
gzip, as a proxy does), the requests of the first visit and of the next one, and the CPU time of the page and of the
calls of the API that give the same data, in milliseconds: the median of `ROUNDS`, in the process, without a network.
"""

from __future__ import annotations

import gzip
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from alembic import command
from alembic.config import Config
from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

from course_management import create_app
from course_management.access import key_management, sessions
from course_management.access.sessions import Owner

ROOT = Path(__file__).parent.parent
ROUNDS = 40
SHOWN = 25
"""Courses on one page of the list of students."""
Call = tuple[str, str, Any]
"""A call of the API: method, path and body."""


class School(NamedTuple):
    """The app, and what callers send to be known."""

    app: Flask
    key: str
    student: str
    registrar: str


class Measured(NamedTuple):
    """What one page costs."""

    page: int
    everything: int
    requests: int
    page_ms: float
    calls_ms: float | None


def build(folder: str) -> School:
    """Make the school through the API, before its first key."""
    app = create_app({"DATABASE_URL": f"sqlite:///{folder}/pages.db", "RATELIMIT_READS": "none", "LOG_LEVEL": "error"})
    client = app.test_client()

    def send(method: str, path: str, body: Any) -> Any:
        response = client.open(path, method=method, json=body)
        if response.status_code >= 300:  # noqa: PLR2004 - HTTP
            raise SystemExit(f"{method} {path}: {response.text}")
        return response.get_json()

    term = {"code": "2026-fall", "title": "Fall 2026", "starts_on": "2026-09-01", "ends_on": "2999-12-18"}
    term_id = send("POST", "/terms", term)["id"]
    window = {"opens_at": "2020-01-01T00:00:00Z", "closes_at": "2999-01-01T00:00:00Z"}
    send("PUT", f"/terms/{term_id}/windows", [window])
    for number in range(200):
        body = {
            "code": f"CS {number:03}",
            "title": f"Course {number}",
            "term_id": term_id,
            "capacity": 30,
            "waitlist_capacity": 0 if number else 50,  # the first course has a waitlist
            "credits": 3,
        }
        course_id = send("POST", "/courses", body)["id"]
        starts = f"{8 + number % 10:02}:00"
        meeting = {"starts": starts, "ends": f"{starts[:2]}:50", "starts_on": "2026-09-01", "ends_on": "2026-12-18"}
        send("PUT", f"/courses/{course_id}/meetings", [{"weekday": day, **meeting} for day in (1, 3, 5)])
    for number in range(60):
        student = {"name": f"Student {number}", "email": f"s{number}@example.edu"}
        student_id = send("POST", "/students", student)["id"]
        wanted = {"course_ids": [1, *(2 + (number + step) % 10 for step in range(4))], "waitlist": True}
        client.post(f"/students/{student_id}/enroll", json=wanted)
    person = send("POST", "/people", {"name": "Registrar", "roles": ["registrar"]})["id"]
    with app.app_context():
        _, key = key_management.create("benchmark", ["admin"], None)
        cookies = [sessions.begin("link", owner) for owner in (Owner(student_id=1), Owner(person_id=person))]
    return School(create_app(app.config), key, *cookies)


def send(school: School, call: Call, cookie: str = "") -> bytes:
    """Send a request in this process, and return the body of the response."""
    method, path, body = call
    path, _, query = path.partition("?")
    headers = {"Cookie": f"__Host-session={cookie}"} if cookie else {"Authorization": f"Bearer {school.key}"}
    environ = EnvironBuilder(
        path, query_string=query, method=method, json=body, headers=[*headers.items()]
    ).get_environ()
    parts, status, _ = run_wsgi_app(school.app, environ)
    content = b"".join(parts)
    if not status.startswith("200"):
        raise SystemExit(f"{method} {path}: {status} {content.decode()}")
    return content


def cpu_ms(action: Callable[[], object]) -> float:
    """Return the CPU time of an action in milliseconds: the median, after a tenth of the rounds."""
    times = []
    for _ in range(ROUNDS + ROUNDS // 10):
        started = time.process_time()
        action()
        times.append((time.process_time() - started) * 1000)
    return statistics.median(times[ROUNDS // 10 :])


def measure(school: School, path: str, cookie: str, calls: Sequence[Call]) -> Measured:
    """Measure one page, and the calls that give the same data."""
    call: Call = ("GET", path, None)
    page = send(school, call, cookie)
    assets = set(re.findall(rb'(?:href|src)="(/app/assets/[^"]+)"', page))
    compressed = len(gzip.compress(page))
    files = sum(len(gzip.compress(send(school, ("GET", asset.decode(), None), cookie))) for asset in assets)
    return Measured(
        compressed,
        compressed + files,
        1 + len(assets),
        cpu_ms(lambda: send(school, call, cookie)),
        cpu_ms(lambda: [send(school, each) for each in calls]) if calls else None,
    )


def pages(school: School) -> dict[str, tuple[str, str, list[Call]]]:
    """Return the pages: their path, the cookie of their visitor, and the calls of the API with the same data."""
    listed = list(range(1, SHOWN + 1))
    mine = [1, *range(2, 6)]

    def meetings(ids: Sequence[int]) -> list[Call]:
        return [("GET", f"/courses/{course_id}/meetings", None) for course_id in ids]

    own: Call = ("GET", "/students/1/courses", None)
    return {
        "student: list of courses": (
            "/app/courses",
            school.student,
            [
                ("GET", f"/courses?limit={SHOWN}", None),
                ("POST", "/students/1/enroll?dry_run=true", {"course_ids": listed}),
                *meetings(listed),
            ],
        ),
        "student: my courses": ("/app/my-courses", school.student, [own, *meetings(mine)]),
        "student: timetable": ("/app/timetable", school.student, [own, *meetings(mine)]),
        "student: refresh of seats": (
            f"/app/seats?ids={'-'.join(map(str, listed))}",
            school.student,
            [("GET", f"/courses?limit={SHOWN}", None)],
        ),
        "registrar: overview": ("/app/registrar", school.registrar, []),
        "registrar: list of courses": (
            "/app/registrar/courses",
            school.registrar,
            [("GET", "/courses?limit=50", None), ("GET", "/terms", None)],
        ),
        "registrar: roster": (
            "/app/registrar/courses/1/roster",
            school.registrar,
            [("GET", "/courses/1", None), ("GET", "/courses/1/students?status=enrolled", None)],
        ),
        "registrar: waitlist": (
            "/app/registrar/courses/1/waitlist",
            school.registrar,
            [
                ("GET", "/courses/1", None),
                ("GET", "/courses/1/students?status=waitlisted", None),
                *(("POST", f"/students/{number}/enroll?dry_run=true", {"course_id": 2}) for number in range(31, 61)),
            ],
        ),
    }


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DATABASE_URL"] = f"sqlite:///{folder}/pages.db"
        with redirect_stdout(StringIO()):
            command.upgrade(Config(str(ROOT / "alembic.ini")), "head")
        school = build(folder)
        print(
            f"{'page':28}{'kB':>6}{'first visit kB':>16}{'requests':>10}{'then':>6}{'ms':>7}{'API ms':>8}{'ratio':>7}"
        )
        for name, (path, cookie, calls) in pages(school).items():
            found = measure(school, path, cookie, calls)
            api = f"{found.calls_ms:8.1f}{found.page_ms / found.calls_ms:7.1f}" if found.calls_ms else f"{'':15}"
            sizes = f"{found.page / 1000:6.1f}{found.everything / 1000:16.1f}{found.requests:10}{1:6}"
            print(f"{name:28}{sizes}{found.page_ms:7.1f}{api}")


if __name__ == "__main__":
    main()
