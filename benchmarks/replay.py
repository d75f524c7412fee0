"""Replay a Toronto course file on a running service, over HTTP only, then check every seat.

    python benchmarks/replay.py yor-f-83.stu --url http://127.0.0.1:8000 --threads 16 --capacity 0.9 --churn

A line of the file is a student, its numbers are that student's courses. The final state of the service is compared with
the file, not with the responses during the run, so that a lost or doubled seat is always found. Each run creates new
courses and students, so the database need not be empty.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import secrets
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TextIO, TypeAlias, TypeVar, cast
from urllib.parse import urlencode, urlsplit

import click

K = TypeVar("K")
R = TypeVar("R")
Json: TypeAlias = dict[str, Any]
Capacities: TypeAlias = Mapping[str, int | None]
"""The seats of each course, by its code; None means no limit."""
CourseRequests: TypeAlias = Mapping[int, Sequence[str]]
"""Student id to course codes: the courses in which the student must be enrolled or waitlisted, and no others."""

LOST = (ConnectionError, http.client.HTTPException)
"""The connection ended before the response did: it is unknown whether the request was applied."""
OK, CREATED = 200, 201


class Unusable(click.ClickException):
    """Nothing can be measured, for example because the service does not respond. Exit code 2."""

    exit_code = 2


class Response(NamedTuple):
    """A response; `repeated` when the request was sent twice, because the first response was lost."""

    status: int
    body: bytes
    seconds: float
    repeated: bool

    def has_enrolled(self) -> bool:
        """Return whether the response is 201, or 200 to a repetition: then the lost first request has enrolled."""
        return self.status == CREATED or (self.repeated and self.status == OK)


class Seen(NamedTuple):
    """What the service reports: each student's list, and each course with its waitlist: (position, student)."""

    lists: dict[int, list[Json]]
    courses: dict[str, Json]


class Service:
    """A running service and the threads that send requests to it, one persistent connection per thread."""

    def __init__(self, url: str, threads: int) -> None:
        self._url, self._own = url.rstrip("/"), threading.local()
        try:
            parts = urlsplit(self._url)
            kind = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}[parts.scheme]
            self._connections = [kind(parts.netloc, timeout=30) for _ in range(threads)]
        except (KeyError, ValueError, http.client.InvalidURL):
            raise Unusable(f"{url!r} is not the URL of a service; write http://host:port.") from None
        self._path, unclaimed = parts.path, iter(self._connections)
        self._pool = ThreadPoolExecutor(threads, initializer=lambda: setattr(self._own, "connection", next(unclaimed)))

    def close(self) -> None:
        """Cancel the requests that have not started, and close the connections."""
        self._pool.shutdown(cancel_futures=True)
        for connection in self._connections:
            connection.close()

    def each(self, label: str, work: Callable[[K], R], things: Collection[K]) -> dict[K, R]:
        """Call `work` with each of `things` in the threads, and return the result of each."""
        found = self._pool.map(work, things)
        with click.progressbar(found, length=len(things), label=label, file=sys.stderr) as results:
            return dict(zip(things, results, strict=True))

    def call(self, method: str, path: str, body: Json | None = None) -> Response:
        """Send a request, and again if the connection is lost: a server may close an idle one at any time."""
        began = time.perf_counter()
        try:
            try:
                status, found, repeated = *self._send(method, path, body), False
            except LOST:
                time.sleep(0.1)  # a worker that was killed still accepts for a moment, and resets
                status, found, repeated = *self._send(method, path, body), True
        except (OSError, http.client.HTTPException) as error:
            raise Unusable(f"The service at {self._url} does not respond: {error}.") from None
        return Response(status, found, time.perf_counter() - began, repeated)

    def request_json(self, method: str, path: str, body: Json | None = None) -> Json:
        """Return the JSON of a successful response. Raises `Unusable` for any other."""
        status, found, *_ = self.call(method, path, body)
        if status not in {OK, CREATED}:
            raise Unusable(f"The service at {self._url} responds to {method} {path} with {status}.")
        return cast("Json", json.loads(found))

    def _send(self, method: str, path: str, body: Json | None) -> tuple[int, bytes]:
        connection: http.client.HTTPConnection = self._own.connection
        sent = (None, {}) if body is None else (json.dumps(body), {"Content-Type": "application/json"})
        try:
            connection.request(method, self._path + path, *sent)
            response = connection.getresponse()
            return response.status, response.read()
        except Exception:
            connection.close()  # it opens itself again for the next request
            raise


# --- from the file to enrollments -------------------------------------------------------------------------


def read(path: Path) -> list[list[int]]:
    """Return the course numbers of each student. A repeated number counts once, an empty line is ignored."""
    students = []
    for line, text in enumerate(path.read_text(encoding="ascii", errors="replace").split("\n"), start=1):
        words = text.split()
        for word in words:
            if not re.fullmatch(r"[0-9]{1,9}", word):
                raise Unusable(f"{path}, line {line}: {word!r} is not a course number.")
        if words:
            students.append(list(dict.fromkeys(int(word) for word in words)))
    if not students:
        raise Unusable(f"There is no student in {path}.")
    return students


def capacity_for(demand: int, fraction: float | None) -> int | None:
    """Return the seats of a course with this demand; None without a fraction.

    The product is decimal, because 0.29 * 100 is 28.999… in binary.
    """
    return None if fraction is None else max(1, int(Decimal(str(fraction)) * demand))


def create(service: Service, path: str, bodies: Mapping[K, Json]) -> dict[K, int]:
    """Create one resource per body, and return the ids."""
    return service.each(
        f"Creating {path}", lambda key: int(service.request_json("POST", path, bodies[key])["id"]), bodies
    )


def enroll(service: Service, ids: Mapping[str, int], requests: CourseRequests, *, waitlist: bool) -> Json:
    """Enroll each student with one request, and return the figures of this phase."""
    bodies = {s: {"course_ids": [ids[code] for code in codes], "waitlist": waitlist} for s, codes in requests.items()}
    began = time.perf_counter()
    responses = service.each("Enrolling", lambda s: service.call("POST", f"/students/{s}/enroll", bodies[s]), bodies)
    elapsed = time.perf_counter() - began
    done = [len(requests[student]) for student, response in responses.items() if response.has_enrolled()]
    times = sorted(1000 * response.seconds for response in responses.values())
    return {
        "requests_per_s": round(len(responses) / elapsed, 1),
        "enrollments_per_s": round(sum(done) / elapsed, 1),
        "p50_ms": round(times[len(times) * 50 // 100], 2),
        "p99_ms": round(times[len(times) * 99 // 100], 2),
        "failures": len(responses) - len(done),
    }


def choose_to_unenroll(seen: Seen, seed: int) -> dict[int, list[str]]:
    """Choose a random third of all seats to unenroll from: student id to course codes."""
    seats = [(student, row["code"]) for student, rows in seen.lists.items() for row in rows if row["position"] is None]
    dropped: dict[int, list[str]] = {}
    for student, code in random.Random(seed).sample(seats, len(seats) // 3):  # noqa: S311 - no secret, a choice
        dropped.setdefault(student, []).append(code)
    return dropped


def unenroll(service: Service, ids: Mapping[str, int], dropped: CourseRequests) -> int:
    """Unenroll each student with one request, and return the number of failed requests."""
    bodies = {s: {"course_ids": [ids[code] for code in codes]} for s, codes in dropped.items()}
    responses = service.each(
        "Unenrolling", lambda s: service.call("DELETE", f"/students/{s}/unenroll", bodies[s]), bodies
    )
    return sum(response.status != OK for response in responses.values())


# --- the checks -------------------------------------------------------------------------------------------


def look(service: Service, ids: Mapping[str, int], students: Collection[int]) -> Seen:
    """Read every student's list, and every course with its waitlist."""

    def course_of(code: str) -> Json:
        path = f"/courses/{ids[code]}"
        return service.request_json("GET", path) | {"waitlist": waitlist_of(service, path)}

    lists = service.each(
        "Reading lists", lambda s: service.request_json("GET", f"/students/{s}/courses?status=any"), students
    )
    courses = service.each("Reading courses", course_of, ids)
    return Seen({student: found["courses"] for student, found in lists.items()}, courses)


def waitlist_of(service: Service, course: str) -> list[tuple[int, int]]:
    """Return the position and student of each entry of the waitlist, from all pages."""
    waitlist: list[tuple[int, int]] = []
    query = {"status": "waitlisted", "limit": "200"}
    while True:
        page = service.request_json("GET", f"{course}/students?{urlencode(query)}")
        waitlist += [(each["position"], each["student_id"]) for each in page["items"]]
        if page["next"] is None:
            return waitlist
        query["after"] = page["next"]


def check(capacities: Capacities, requests: CourseRequests, seen: Seen, before: Seen) -> dict[str, list[Any]]:
    """Return the codes of courses and the ids of students whose state is wrong, by the kind of fault.

    A student is enrolled or waitlisted once in each requested course. Every seat with demand is taken, by the course's
    count and by the students' lists; the others are waitlisted without a gap, as the end of the waitlist `before`.
    """
    demand = Counter(chain.from_iterable(requests.values()))
    listed: dict[str, list[tuple[int, int]]] = defaultdict(list)  # (position, student); 0 is a seat
    for student, rows in seen.lists.items():
        for row in rows:
            listed[row["code"]].append((row["position"] or 0, student))
    counts, waitlists = [], []
    for code, capacity in capacities.items():
        course, waitlist = seen.courses[code], sorted(place for place in listed[code] if place[0])
        seats = demand[code] if capacity is None else min(demand[code], capacity)
        places = demand[code] - seats
        if not course["seats_taken"] == len(listed[code]) - len(waitlist) == seats:
            counts.append(code)
        earlier = [student for _, student in before.courses[code]["waitlist"]]
        due = list(enumerate(earlier[len(earlier) - places :], start=1))
        if not (course["waiting"] == len(due) == places and course["waitlist"] == waitlist == due):
            waitlists.append(code)
    lists = [s for s, codes in requests.items() if sorted(row["code"] for row in seen.lists[s]) != sorted(codes)]
    return {"wrong_counts": counts, "wrong_lists": lists, "wrong_waitlists": waitlists}


# --- the command ------------------------------------------------------------------------------------------


def replay(service: Service, students: list[list[int]], fraction: float | None, seed: int | None) -> tuple[Json, Json]:
    """Enroll all students and check; with a seed, unenroll some and check again. Return the figures and the faults."""
    prefix = secrets.token_hex(3)
    requested = [[f"{prefix}-{number:04}" for number in numbers] for numbers in students]
    demand = Counter(chain.from_iterable(requested))
    limits = {code: capacity_for(demand[code], fraction) for code in sorted(demand)}
    courses = {c: {"code": c, "title": c, "capacity": n, "waitlist_capacity": None} for c, n in limits.items()}
    people = {n: {"name": f"Student {n}", "email": f"{prefix}-{n}@example.edu"} for n in range(len(requested))}
    ids = create(service, "/courses", courses)
    requests = dict(zip(create(service, "/students", people).values(), requested, strict=True))
    figures: Json = {"students": len(requests), "courses": len(ids), "enrollments": demand.total()}
    figures |= enroll(service, ids, requests, waitlist=fraction is not None)
    seen = look(service, ids, requests)
    wrong = check(limits, requests, seen, seen)
    if seed is not None:
        dropped = choose_to_unenroll(seen, seed)
        figures["failures"] += unenroll(service, ids, dropped)
        requests = {student: sorted(set(codes) - set(dropped.get(student, ()))) for student, codes in requests.items()}
        after = look(service, ids, requests)
        wrong = {kind: wrong[kind] + more for kind, more in check(limits, requests, after, seen).items()}
        waited, waiting = (sum(course["waiting"] for course in each.courses.values()) for each in (seen, after))
        figures |= {"seed": seed, "seats_freed": sum(map(len, dropped.values())), "seats_retaken": waited - waiting}
    return figures | {kind: len(found) for kind, found in wrong.items()}, wrong


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--url", required=True, help="The running service, as in http://127.0.0.1:8000.")
@click.option("--threads", type=click.IntRange(1, 256), default=4, show_default=True, help="Number of connections.")
@click.option("--capacity", type=click.FloatRange(0, 1, min_open=True), help="Seats for this share of the demand.")
@click.option("--churn", is_flag=True, help="Afterwards, unenroll a random third of the enrolled students.")
@click.option(
    "--seed", type=int, default=lambda: secrets.randbelow(10**6), help="Random seed of --churn, to repeat a run."
)
@click.option("--json", "out", type=click.File("w", lazy=False), help="Write the figures as JSON too; - is stdout.")
def main(  # noqa: PLR0913 - click hands over each option as an argument
    *, file: Path, url: str, threads: int, capacity: float | None, churn: bool, seed: int, out: TextIO | None
) -> None:
    """Enroll all students of FILE.stu at a running service and check every seat; exit 1 when something is wrong."""
    students = read(file)
    with closing(Service(url, threads)) as service:
        found, wrong = replay(service, students, capacity, seed if churn else None)
    figures = {"file": file.name, "threads": threads, "capacity": capacity, **found}
    width = max(map(len, figures))
    for name, value in figures.items():
        where = ", ".join(map(str, wrong.get(name, [])[:5]))
        line = f"{name.replace('_', ' '):{width}}  {value}  {where}".rstrip()
        click.echo(line, err=out is not None and out.name == "<stdout>")
    if out:
        print(json.dumps(figures, indent=2), file=out)
    sys.exit(1 if figures["failures"] or any(wrong.values()) else 0)


if __name__ == "__main__":
    main()
