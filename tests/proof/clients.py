"""Clients that use the service at the same time, and remember its responses.

Each client has its own students, so it knows their courses after every response: every later response of the service,
and the final state of the database, must agree with it. A request whose response is lost, or is a 503, is
repeated with the same request id until there is a response.
"""

from __future__ import annotations

import http.client
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ..support.databases import PATIENCE_S
from .stage import Stage

CAPACITIES = (2, 20)
"""From and to: few enough that every course is full most of the time."""


class Response(NamedTuple):
    """A response; `repeated` when the request had been sent before and its response was lost or a 503."""

    status: int
    body: Any
    repeated: bool = False


class Claim(NamedTuple):
    """A change that was acknowledged: the ledger must have it, once."""

    request: str
    student: int
    course: int
    status: str


class Unserved(Exception):
    """A 503, for a client that does not repeat."""

    def __init__(self, response: Response) -> None:
        self.response = response


class Caller:
    """A connection to the service that is kept open, and opened again when it is lost."""

    def __init__(self, port: int) -> None:
        self.patient = True
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        self.headers: dict[str, str] = {}
        """Headers of every request, as `Authorization`."""
        self.seen: Counter[str] = Counter()
        """How many responses were lost or 503 (any other 5xx ends the run), and how many requests were concerned."""
        self.longest_s = 0.0
        """How long the slowest request took until its response came or was lost."""

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def once(self, method: str, path: str, body: Any = None, request: str = "-") -> Response | None:
        """Send one request, and return the response; None if it is lost."""
        started = time.monotonic()
        try:
            sent = None if body is None else json.dumps(body)
            headers = {"Content-Type": "application/json", "X-Request-ID": request, **self.headers}
            self._connection.request(method, path, sent, headers)
            response = self._connection.getresponse()
            found = response.read()
            self.seen["503 without Retry-After"] += response.status == 503 and not response.headers["Retry-After"]
            return Response(response.status, json.loads(found) if found else None)
        except (OSError, http.client.HTTPException):
            self.close()
            self.seen["responses lost"] += 1
            return None
        finally:
            self.longest_s = max(self.longest_s, time.monotonic() - started)

    def call(self, method: str, path: str, body: Any = None, request: str = "-") -> Response:
        """Send a request until the response is not 503, and return it. Raises `Unserved` when the patience is over."""
        deadline = time.monotonic() + PATIENCE_S
        repeated = False
        while time.monotonic() < deadline:
            response = self.once(method, path, body, request)
            if response and response.status < 500:
                return response._replace(repeated=repeated)
            self.seen["503"] += response is not None
            if response and not self.patient:
                raise Unserved(response)
            assert response is None or response.status == 503, f"{method} {path} gets {response.status}"
            self.seen["requests to repeat"] += not repeated
            repeated = True
            time.sleep(0.02)
        raise AssertionError(f"{method} {path} never got a response")


class Client:
    """A client that calls the service for some students, and checks every response against those before."""

    def __init__(self, port: int, name: str, students: Sequence[int], courses: Sequence[int], owned: Sequence[int]):
        self.name, self.students, self.courses, self.owned = name, students, courses, owned
        self.chance = random.Random(name)  # noqa: S311 - a repeatable choice of operations
        self.caller = Caller(port)
        self.faults = False
        """Whether the database's connections may break: then the service may have tried again, as a client may."""
        self.held: dict[int, dict[int, str]] = {student: {} for student in students}
        self.capacities: dict[int, int] = {}
        self.claims: set[Claim] = set()
        self.refused: set[str] = set()
        self.unsure: set[str] = set()
        self.contradictions: list[str] = []
        self.done = 0

    def step(self) -> None:
        """Do one random operation."""
        student = self.chance.choice(self.students)
        some = self.chance.sample(self.courses, self.chance.choice([1, 1, 1, 2, 3, 4]))
        waitlist = self.chance.random() < 0.7
        kinds: dict[Callable[[], None], int] = {
            lambda: self.enroll(student, some, waitlist=waitlist): 45,
            lambda: self.unenroll(student, some): 20,
            lambda: self.replace(student, some, waitlist=waitlist): 15,
            lambda: self.replace(student, some, waitlist=waitlist, dry_run=True): 3,
            lambda: self.read(student): 12,
        }
        if self.owned:
            kinds[lambda: self.change_capacity(self.chance.choice(self.owned))] = 5
        (kind,) = self.chance.choices(list(kinds), list(kinds.values()))
        kind()

    def enroll(self, student: int, wanted: Sequence[int], *, waitlist: bool) -> None:
        """POST enroll."""
        body = {"course_ids": wanted, "waitlist": waitlist}
        request, response = self._ask("POST", f"/students/{student}/enroll", body)
        if response.status in {200, 201}:
            for each in response.body["results"]:
                self._note(request, student, each["course_id"], each["outcome"])
        else:
            self._refused(request, response)

    def unenroll(self, student: int, courses: Sequence[int]) -> None:
        """DELETE unenroll."""
        request, response = self._ask("DELETE", f"/students/{student}/unenroll", {"course_ids": courses})
        self._expect(response.status == 200, request, response)
        for each in response.body["results"]:
            self._note(request, student, each["course_id"], each["outcome"])

    def replace(self, student: int, wanted: Sequence[int], *, waitlist: bool, dry_run: bool = False) -> None:
        """PUT enroll."""
        path = f"/students/{student}/enroll" + ("?dry_run=true" if dry_run else "")
        request, response = self._ask("PUT", path, {"course_ids": wanted, "waitlist": waitlist})
        if dry_run or response.status != 200:
            if response.status != 200:
                self._refused(request, response)
            self.refused.add(request)  # what is only tried leaves no trace either
            return
        new = {*response.body["enrolled"], *response.body["waitlisted"]}
        self._expect(new | {*response.body["kept"]} == {*wanted}, request, response)
        self._expect(
            request in self.unsure or response.body["unenrolled"] == sorted({*self.held[student]} - {*wanted}),
            request,
            response,
        )
        for outcome in ("enrolled", "waitlisted", "unenrolled"):
            for course in response.body[outcome]:
                self._note(request, student, course, outcome)
        for course in response.body["kept"]:
            self._note(request, student, course, "kept")
        self.held[student] = {course: status for course, status in self.held[student].items() if course in wanted}

    def read(self, student: int) -> None:
        """GET courses: exactly what is held."""
        request, response = self._ask("GET", f"/students/{student}/courses?status=any")
        found = {each["id"]: each["status"] for each in response.body["courses"]}
        self._expect(agrees(found, self.held[student]), request, response)
        self.held[student] = found

    def change_capacity(self, course: int) -> None:
        """PATCH capacity, up or down; 409 when there are more seats taken."""
        wanted = self.chance.randint(*CAPACITIES)
        request, response = self._ask("PATCH", f"/courses/{course}", {"capacity": wanted})
        if response.status == 200:
            self.capacities[course] = wanted
        else:
            self._expect(response.body["code"] == "capacity_below_enrollment", request, response)

    def _ask(self, method: str, path: str, body: Any = None) -> tuple[str, Response]:
        self.done += 1
        request = f"{self.name}-{self.done}"
        response = self.caller.call(method, path, body, request)
        if response.repeated or self.faults:
            self.unsure.add(request)
        return request, response

    def _refused(self, request: str, response: Response) -> None:
        self._expect(response.status == 409 and response.body["code"] == "enrollment_refused", request, response)
        self.refused.add(request)

    def _note(self, request: str, student: int, course: int, outcome: str) -> None:
        """Hold an outcome against what was known, and know it from now on."""
        held = self.held[student]
        before, unsure = held.get(course), request in self.unsure
        possible = {
            "enrolled": before is None,
            "waitlisted": before is None,
            "already_enrolled": unsure or before is not None,
            "already_waitlisted": before == "waitlisted" or (unsure and before is None),
            "kept": unsure or before is not None,
            "unenrolled": unsure or before is not None,
            "left_waitlist": before == "waitlisted",
            "not_enrolled": unsure or before is None,
        }
        self._expect(possible[outcome], request, outcome, before)
        if outcome in {"enrolled", "already_enrolled"}:
            held[course] = "enrolled"
        elif outcome in {"waitlisted", "already_waitlisted"}:
            held[course] = "waitlisted"
        elif outcome == "kept":
            held.setdefault(course, "waitlisted")
        else:
            held.pop(course, None)
        if outcome in {"enrolled", "waitlisted", "unenrolled", "left_waitlist"}:
            self.claims.add(Claim(request, student, course, outcome.replace("left_waitlist", "unenrolled")))

    def _expect(self, so: object, *facts: Any) -> None:
        if not so:
            self.contradictions.append(str(facts))


def agrees(found: dict[int, str], reported: dict[int, str]) -> bool:
    """Return whether the enrollments are as reported; a waitlisted student may have been promoted since."""
    return found.keys() == reported.keys() and all(
        status == reported[course] or reported[course] == "waitlisted" for course, status in found.items()
    )


class Hand:
    """A database shell that enrolls and unenrolls students by plain INSERT and UPDATE."""

    TAKE = text("INSERT INTO student_courses (student_id, course_id, status) VALUES (:student, :course, 'enrolled')")
    TAKE_AGAIN = text(
        "UPDATE student_courses SET status = 'enrolled'"
        " WHERE student_id = :student AND course_id = :course AND status = 'unenrolled'"
    )
    LEAVE = text("UPDATE student_courses SET status = 'unenrolled' WHERE student_id = :student AND course_id = :course")

    def __init__(self, stage: Stage, name: str, students: Sequence[int], courses: Sequence[int]) -> None:
        self.chance = random.Random(name)  # noqa: S311
        self.students, self.courses = students, courses
        self.engine = create_engine(stage.url, poolclass=NullPool)
        self.held: dict[int, dict[int, str]] = {student: {} for student in students}
        self.known: set[tuple[int, int]] = set()
        self.changes = 0

    def step(self) -> None:
        """Run one statement, which the database may refuse."""
        student, course = self.chance.choice(self.students), self.chance.choice(self.courses)
        if (held := [(s, c) for s, courses in self.held.items() for c in courses]) and self.chance.random() < 0.5:
            student, course = self.chance.choice(held)
        if course in self.held[student]:
            statement = self.LEAVE
        else:
            statement = self.TAKE_AGAIN if (student, course) in self.known else self.TAKE
        with suppress(DBAPIError), self.engine.connect() as connection:
            connection.execute(statement, {"student": student, "course": course})
            connection.commit()
            self.changes += 1
            self.known.add((student, course))
            if statement is self.LEAVE:
                del self.held[student][course]
            else:
                self.held[student][course] = "enrolled"
