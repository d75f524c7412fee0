"""A Hypothesis state machine that compares the service with a small model of the rules, one operation at a time.

The model has the rules as a registrar would explain them: a set of enrolled students and a waitlist; for the courses of
a term also holds, a registration window, permissions, and closed courses. A student whom one of them stops is passed
over on the waitlist. After each operation, the response and every list of the service must be what the model predicts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

from flask import Flask
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test, initialize, invariant, rule

from course_management import create_app
from course_management.database import db
from course_management.services.enrollment import promotion

from .report import Check
from .stage import Stage

PEOPLE, COURSES = 5, 5
FIRST_OF_TERM, BY_PERMISSION = 3, 4
"""The courses from this one on belong to a term, and this one needs a permission."""
ALWAYS = {"opens_at": "2000-01-01T00:00:00Z", "closes_at": "2100-01-01T00:00:00Z"}
people = st.integers(0, PEOPLE - 1)
some = st.lists(st.integers(0, COURSES - 1), min_size=1, max_size=COURSES, unique=True)
limits = st.none() | st.integers(0, 3)
of_term = st.integers(FIRST_OF_TERM, COURSES - 1)


class Course:
    """The rules of one course."""

    def __init__(self, capacity: int | None, places: int | None, stops: Callable[[int], bool]) -> None:
        self.capacity, self.places = capacity, places
        self.stops = stops
        """Whether something stands against the promotion of a student."""
        self.enrolled: set[int] = set()
        self.waitlist: list[int] = []

    def status(self, student: int) -> str | None:
        """Return the status of a student in this course; None if neither enrolled nor waitlisted."""
        return "enrolled" if student in self.enrolled else "waitlisted" if student in self.waitlist else None

    def has_free_seat(self) -> bool:
        """Return whether a seat is not taken."""
        return self.capacity is None or len(self.enrolled) < self.capacity

    def has_seat(self) -> bool:
        """Return whether the next student gets a seat: a free one is reserved while a student waits who can have it."""
        return self.has_free_seat() and all(map(self.stops, self.waitlist))

    def has_place(self) -> bool:
        """Return whether the waitlist has a free place."""
        return self.places is None or len(self.waitlist) < self.places

    def reasons(self, waitlist: bool) -> list[str]:
        """Return the codes of the reasons to refuse a new student; empty if there are none."""
        if self.has_seat() or (waitlist and self.has_place()):
            return []
        return ["waitlist_full" if waitlist and self.places else "course_full"]

    def enroll(self, student: int) -> str:
        """Enroll a student or, without a free seat, add the student to the waitlist. Return the new status."""
        if self.has_seat():
            self.enrolled.add(student)
            return "enrolled"
        self.waitlist.append(student)
        return "waitlisted"

    def unenroll(self, student: int) -> str:
        """Unenroll a student or remove the student from the waitlist. Return the outcome."""
        outcome = {"enrolled": "unenrolled", "waitlisted": "left_waitlist", None: "not_enrolled"}[self.status(student)]
        self.enrolled.discard(student)
        if student in self.waitlist:
            self.waitlist.remove(student)
        return outcome

    def promote(self) -> None:
        """Enroll waitlisted students in the free seats, in order; those who are stopped keep their places."""
        for student in [each for each in self.waitlist if not self.stops(each)]:
            if self.has_free_seat():
                self.waitlist.remove(student)
                self.enrolled.add(student)


class TermRules:
    """What stands against students in the courses of the term. Holds and permissions have the ids of the service."""

    def __init__(self) -> None:
        self.is_open = True
        self.holds: dict[int, int] = {}
        self.permissions: dict[int, int] = {}
        self.closed: set[int] = set()

    def reasons(self, student: int, number: int) -> list[str]:
        """Return the codes against enrolling a student in a course, in the order of the documentation."""
        if number < FIRST_OF_TERM:
            return []
        stops = self.stops(student, number)
        closed = [] if self.is_open else ["registration_closed"]
        return [*(code for code in stops if code == "hold"), *closed, *(code for code in stops if code != "hold")]

    def stops(self, student: int, number: int) -> list[str]:
        """Return the codes against promoting a student, for which the window does not matter."""
        if number < FIRST_OF_TERM:
            return []
        stands = {
            "hold": student in self.holds,
            "course_closed": number in self.closed,
            "permission_required": number == BY_PERMISSION and student not in self.permissions,
        }
        return [code for code, is_against in stands.items() if is_against]


def machine(app: Flask, stage: Stage) -> type[RuleBasedStateMachine]:
    """Return the state machine for an app. Each example creates new students and courses."""

    class Registration(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.client: Any = app.test_client()

        @initialize(given=st.lists(st.tuples(limits, limits), min_size=COURSES, max_size=COURSES))
        def open(self, given: list[tuple[int | None, int | None]]) -> None:
            self.of_term = TermRules()
            self.model = [Course(*each, self._stops(n)) for n, each in enumerate(given)]
            prefix = type(self).opened = getattr(type(self), "opened", 0) + 1
            self.people = [
                self._create("/students", name="Ada", email=f"{prefix}-{n}@example.edu") for n in range(PEOPLE)
            ]
            dates = {"starts_on": "2026-09-01", "ends_on": "2099-12-18"}
            self.term = self._create("/terms", code=f"T{prefix}", title="T", **dates)
            self.window(is_open=True)
            self.courses = [
                self._create(
                    "/courses",
                    code=f"{prefix}-{n}",
                    title="T",
                    capacity=capacity,
                    waitlist_capacity=places,
                    term_id=self.term if n >= FIRST_OF_TERM else None,
                    permission_required=n == BY_PERMISSION,
                )
                for n, (capacity, places) in enumerate(given)
            ]

        def _stops(self, number: int) -> Callable[[int], bool]:
            return lambda student: bool(self.of_term.stops(student, number))

        def _promote(self) -> None:
            for course in self.model:
                course.promote()

        def _create(self, path: str, **values: Any) -> int:
            response = self.client.post(path, json=values)
            assert response.status_code == 201, response.text
            return int(response.get_json()["id"])

        def _send(self, method: str, path: str, **body: Any) -> tuple[int, Any]:
            response = self.client.open(path, method=method, json=body)
            return response.status_code, response.get_json()

        def _refusal(self, student: int, wanted: Sequence[int], waitlist: bool) -> list[tuple[int, str, list[str]]]:
            """Return the decisions of a refusal; empty if the request is not refused."""
            decisions = []
            for number in wanted:
                course = self.model[number]
                status = course.status(student)
                reasons = [] if status else [*self.of_term.reasons(student, number), *course.reasons(waitlist)]
                outcome = f"already_{status}" if status else "refused" if reasons else "eligible"
                decisions.append((self.courses[number], outcome, reasons))
            return decisions if any(reasons for *_, reasons in decisions) else []

        def _refused(self, status: int, body: Any, decisions: list[tuple[int, str, list[str]]]) -> None:
            assert (status, body["code"]) == (409, "enrollment_refused")
            assert [
                (each["course_id"], each["outcome"], [reason["code"] for reason in each["reasons"]])
                for each in body["decisions"][: len(decisions)]  # then those about the courses that would be left
            ] == decisions

        @rule(student=people, wanted=some, waitlist=st.booleans())
        def enroll(self, student: int, wanted: list[int], waitlist: bool) -> None:
            refusal = self._refusal(student, wanted, waitlist)
            expected: list[dict[str, Any]] = []
            for number in wanted if not refusal else ():
                course = self.model[number]
                before = course.status(student)
                outcome = f"already_{before}" if before else course.enroll(student)
                place = {"position": course.waitlist.index(student) + 1} if student in course.waitlist else {}
                expected.append({"course_id": self.courses[number], "outcome": outcome, **place})
            body = {"course_ids": [self.courses[number] for number in wanted], "waitlist": waitlist}

            status, response = self._send("POST", f"/students/{self.people[student]}/enroll", **body)

            if refusal:
                self._refused(status, response, refusal)
                return
            assert response["results"] == expected
            assert status == (200 if all(each["outcome"].startswith("already") for each in expected) else 201)

        @rule(student=people, left=some)
        def unenroll(self, student: int, left: list[int]) -> None:
            outcomes = [self.model[number].unenroll(student) for number in left]

            status, response = self._send(
                "DELETE",
                f"/students/{self.people[student]}/unenroll",
                course_ids=[self.courses[number] for number in left],
            )

            assert status == 200
            assert [each["outcome"] for each in response["results"]] == outcomes
            for number in left:
                self.model[number].promote()

        @rule(student=people, wanted=some | st.just([]), waitlist=st.booleans(), dry_run=st.booleans())
        def replace(self, student: int, wanted: list[int], waitlist: bool, dry_run: bool) -> None:
            refusal = self._refusal(student, wanted, waitlist)
            before = {n: course.status(student) for n, course in enumerate(self.model) if course.status(student)}
            names = ("enrolled", "waitlisted", "unenrolled", "withdrawn", "kept")
            expected: dict[str, list[int]] = {name: [] for name in names}
            for number in wanted:
                course = self.model[number]
                outcome = "kept" if number in before else "enrolled" if course.has_seat() else "waitlisted"
                expected[outcome].append(self.courses[number])
            expected["unenrolled"] = sorted(self.courses[number] for number in before if number not in wanted)
            if not (refusal or dry_run):
                for number, course in enumerate(self.model):
                    if number in before and number not in wanted:
                        course.unenroll(student)
                    elif number in wanted and number not in before:
                        course.enroll(student)
                    course.promote()

            status, response = self._send(
                "PUT",
                f"/students/{self.people[student]}/enroll?dry_run={str(dry_run).lower()}",
                course_ids=[self.courses[number] for number in wanted],
                waitlist=waitlist,
            )

            if refusal:
                self._refused(status, response, refusal)
            else:
                assert (status, response) == (200, {"student_id": self.people[student], **expected})

        @rule(student=people)
        def hold(self, student: int) -> None:
            """Place a hold on the student, or release it."""
            path, placed = f"/students/{self.people[student]}/holds", self.of_term.holds.pop(student, None)
            if placed is None:
                self.of_term.holds[student] = self._create(path, kind="financial", contact="Bursar", blocks="enroll")
            else:
                assert self._send("DELETE", f"{path}/{placed}")[0] == 204
                self._promote()

        @rule(student=people)
        def permit(self, student: int) -> None:
            """Grant the student the permission, or revoke it."""
            path, granted = f"/students/{self.people[student]}/permissions", self.of_term.permissions.pop(student, None)
            if granted is None:
                waived = {"course_id": self.courses[BY_PERMISSION], "rule": "permission_required"}
                self.of_term.permissions[student] = self._create(path, **waived, reason="Knows the subject.")
                self._promote()
            else:
                assert self._send("DELETE", f"{path}/{granted}")[0] == 204

        @rule(is_open=st.booleans())
        def window(self, is_open: bool) -> None:
            """Open or close registration for the term."""
            self.of_term.is_open = is_open
            path = f"/terms/{self.term}/windows"
            assert self.client.put(path, json=[ALWAYS] if is_open else []).status_code == 200

        @rule(number=of_term, closed=st.booleans())
        def close(self, number: int, closed: bool) -> None:
            """Close a course of the term, or open it again."""
            (self.of_term.closed.add if closed else self.of_term.closed.discard)(number)
            assert self._send("PATCH", f"/courses/{self.courses[number]}", closed=closed)[0] == 200
            self._promote()

        @rule(number=st.integers(0, COURSES - 1), capacity=limits, places=limits)
        def limit(self, number: int, capacity: int | None, places: int | None) -> None:
            course = self.model[number]
            too_low = {
                "capacity_below_enrollment": capacity is not None and len(course.enrolled) > capacity,
                "waitlist_capacity_below_waiting": places is not None and len(course.waitlist) > places,
            }

            status, response = self._send(
                "PATCH", f"/courses/{self.courses[number]}", capacity=capacity, waitlist_capacity=places
            )

            if any(too_low.values()):
                assert status == 409
                assert too_low[response["code"]]
                return
            course.capacity, course.places = capacity, places
            course.promote()
            assert (status, response["seats_taken"], response["waiting"]) == (
                200,
                len(course.enrolled),
                len(course.waitlist),
            )

        @rule(student=people, number=st.integers(0, COURSES - 1))
        def read(self, student: int, number: int) -> None:
            path, course = f"/courses/{self.courses[number]}/students", self.model[number]
            held = {self.courses[n]: each.status(student) for n, each in enumerate(self.model) if each.status(student)}

            _, roster = self._send("GET", path)
            _, entries = self._send("GET", f"{path}?status=waitlisted")
            _, found = self._send("GET", f"/students/{self.people[student]}/courses?status=any")

            assert [each["student_id"] for each in roster["items"]] == sorted(self.people[n] for n in course.enrolled)
            assert [(each["position"], each["student_id"]) for each in entries["items"]] == [
                (place, self.people[n]) for place, n in enumerate(course.waitlist, start=1)
            ]
            assert {each["id"]: each["status"] for each in found["courses"]} == held

        @invariant()
        def is_what_the_model_says(self) -> None:
            first = self.courses[0]
            rows = stage.sql(
                "SELECT course_id, student_id, queue_number, passed_over_for FROM student_courses"
                " WHERE course_id >= :first AND status IN ('enrolled', 'waitlisted') ORDER BY queue_number",
                first=first,
            )
            for number, course in enumerate(self.model):
                here = [row for row in rows if row.course_id == self.courses[number]]
                assert {row.student_id for row in here if row.queue_number is None} == {
                    self.people[student] for student in course.enrolled
                }
                assert [row.student_id for row in here if row.queue_number is not None] == [
                    self.people[student] for student in course.waitlist
                ]
                if course.has_free_seat():
                    assert [row.passed_over_for for row in here if row.queue_number is not None] == [
                        " ".join(self.of_term.stops(student, number)) for student in course.waitlist
                    ]

    return Registration


def prove(
    stage: Stage, chance: int, examples: int, steps: int, *, shrink: bool = True
) -> tuple[dict[str, int], list[Check]]:
    """Run examples of the state machine, and check the database. With `shrink`, minimize an example that fails."""
    app = create_app({"DATABASE_URL": stage.url.render_as_string(hide_password=False), "LOG_LEVEL": "error"})
    registration = machine(app, stage)
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
    )
    failure = ""
    try:
        # The model knows no pending promotion, which a busy machine would meet.
        with patch.object(promotion, "TIME_LIMIT_S", 60.0):
            seed(chance)(get_state_machine_test(registration, settings=chosen))()
    except Exception as error:  # noqa: BLE001 - a step that gets a response of another shape can fail in any way
        failure = "\n".join([repr(error), *getattr(error, "__notes__", ())])
    finally:
        with app.app_context():
            db.engine.dispose()
    figures = {"examples": getattr(registration, "opened", 0), "steps each, at most": steps}
    return figures, [Check("steps where the service and the model disagree", failure, ""), *stage.verified()]
