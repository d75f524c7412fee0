"""Sends requests to the service and to the oracle, and compares their decisions and what they leave in the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from flask import Flask
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from course_management.context import RequestContext
from course_management.database import db
from course_management.services import enrollment

from .registrar import Registrar, Row, Tables, promoted
from .schools import COURSES, Request, School, requests, schools, table

STEPS = 4
"""Requests to each school."""
LEFT = {"enrolled": "unenrolled", "waitlisted": "left_waitlist"}


def compare(app: Flask, examples: int, chance: int = 0) -> Counter[str]:
    """Compare service and oracle in so many schools. Return how often each code and each outcome was seen."""
    seen: Counter[str] = Counter()
    with app.app_context():
        engine = db.engine
    client = app.test_client()

    @seed(chance)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        phases=[Phase.generate],  # a smaller school takes minutes to find, and says little more
    )
    @given(st.data())
    def in_one_school(data: Any) -> None:
        seen["schools"] += 1
        school = data.draw(schools(seen["schools"] * 1000))
        with engine.begin() as connection:
            school.write(connection)
        step = Step(app, engine, client, school, seen)
        for course in school.courses:
            step.promote(course)
        for _ in range(STEPS):
            step.send(data.draw(requests(school)))

    in_one_school()
    return seen


class Step:
    """One school, and how to ask it."""

    def __init__(self, app: Flask, engine: Engine, client: Any, school: School, seen: Counter[str]) -> None:
        self.app, self.engine, self.client, self.school, self.seen = app, engine, client, school, seen

    def tables(self) -> Tables:
        """Return the tables as they are: only enrollments change."""
        rows = table("student_courses")
        here = rows.c.course_id.between(self.school.first, self.school.first + COURSES)
        with self.engine.connect() as connection:
            present = [row._asdict() for row in connection.execute(select(rows).where(here))]
        return {**self.school.rows, "student_courses": present}

    def promote(self, course: int) -> None:
        """Promote in a course for the first time, and compare."""
        before = self.tables()
        seated, passed_over = promoted(before, course, datetime.now(UTC))
        note(f"promote in {course}: {seated}, passed over {passed_over}")

        with self.app.app_context():
            enrollment.promote([course], RequestContext())

        after = [row for row in self.tables()["student_courses"] if row["course_id"] == course]
        found = {
            row["student_id"]: set(row["passed_over_for"].split()) for row in after if row["passed_over_at"] is not None
        }
        assert found == passed_over
        rows = [row for row in before["student_courses"] if row["course_id"] == course]
        waited = {row["student_id"] for row in rows if row["status"] == "waitlisted"}
        assert {row["student_id"] for row in after if row["status"] == "enrolled"} & waited == set(seated)
        self.seen.update(f"promotion {code}" for codes in passed_over.values() for code in codes)
        self.seen["promoted"] += len(seated)

    def send(self, request: Request) -> None:
        """Send a request without and then with effect, and compare both."""
        before = self.tables()
        registrar = Registrar(before, request.student, datetime.now(UTC), request.chosen_credits)
        held = {row["course_id"] for row in registrar.rows("student_courses", student_id=request.student)}
        enrolling, leaving = list(request.course_ids), list(request.instead_of)
        if request.kind == "unenroll":
            enrolling, leaving = [], enrolling
        if request.kind == "replace":
            leaving = sorted(each for each in held.difference(enrolling) if registrar.status(each) in {*LEFT})
        registrar.plan(enrolling, leaving, waitlist=request.waitlist, replacing=request.kind == "replace")
        expected = {course: registrar.against(course) for course in [*enrolling, *leaving]}
        self.seen.update(code for codes in expected.values() for code in codes)
        note(f"{request}: {registrar.actions}, {expected}")

        if request.kind == "enroll":
            _, body = self._call(request, "?dry_run=true")
            assert codes_of(body) == expected
        status, body = self._call(request)

        is_refused = any(expected.values())
        if is_refused:
            assert status == 409
            # Where no rule decides about a replacement, the courses that it would leave are not in the response.
            unsaid: dict[int, set[str]] = {course: set() for course in leaving if request.kind == "replace"}
            assert unsaid | codes_of(body) == expected
            self.seen["refused"] += 1
        else:
            assert status in {200, 201}
        after = self.tables()
        for course in expected:
            was, now = row_of(before, request.student, course), row_of(after, request.student, course)
            if is_refused:
                assert (now and now["status"]) == (was and was["status"])
                continue
            self._compare(registrar, course, was, now)

    def _compare(self, registrar: Registrar, course: int, was: Row | None, now: Row | None) -> None:
        """Compare one row after a request that was applied."""
        action = registrar.actions.get(course)
        possible: dict[str | None, Callable[[], set[Any]]] = {
            "enroll": lambda: {"enrolled"},
            "waitlist": lambda: {"waitlisted"},
            "change_credits": lambda: {"enrolled"},
            "unenroll": lambda: {self._after_leaving(registrar, course)},
            # A student who waits can have been promoted: the request has left what stopped it.
            None: lambda: {was and was["status"], *(["enrolled"] if was and was["status"] == "waitlisted" else [])},
        }
        statuses = possible[action]()
        assert (now and now["status"]) in statuses, course
        self.seen.update(f"then {each}" for each in statuses if action)
        if now and action in {"enroll", "change_credits"}:
            assert (now["credits"] or Decimal()) == registrar.credits_wanted(course), course
            self.seen[f"then {action}"] += 1

    def _after_leaving(self, registrar: Registrar, course: int) -> str | None:
        if registrar.status(course) == "waitlisted":
            return "unenrolled"
        return registrar.leaving(course) or "unenrolled"  # too late, and waived

    def _call(self, request: Request, query: str = "") -> tuple[int, Any]:
        path = f"/students/{request.student}/{'unenroll' if request.kind == 'unenroll' else 'enroll'}{query}"
        body: dict[str, Any] = {"course_ids": request.course_ids}
        if request.kind != "unenroll":
            body["waitlist"] = request.waitlist
            body["credits"] = {str(course): float(asked) for course, asked in request.chosen_credits.items()}
        if request.instead_of:
            body["instead_of"] = request.instead_of
        method = {"enroll": "POST", "replace": "PUT", "unenroll": "DELETE"}[request.kind]
        response = self.client.open(path, method=method, json=body)
        note(f"{response.status_code} {response.text}")
        return response.status_code, response.get_json()


def codes_of(body: Any) -> dict[int, set[str]]:
    """Return the codes of the decisions of a response, by course."""
    return {each["course_id"]: {reason["code"] for reason in each["reasons"]} for each in body["decisions"]}


def row_of(tables: Tables, student: int, course: int) -> Row | None:
    """Return the enrollment of a student in a course."""
    rows = tables["student_courses"]
    found = [row for row in rows if (row["student_id"], row["course_id"]) == (student, course)]
    return found[0] if found else None
