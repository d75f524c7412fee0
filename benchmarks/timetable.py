"""Replay enrollments with a timetable, by the rules of registration, and compare every refusal with a brute force.

Each course meets once a week, in a slot that a coloring of the graph of courses gives: courses with a student in common
meet at different times, so that every request can be granted. A course has as many seats as students want it, and
counts 3 credits. Then, on the running service:

1. Each student enrolls with one request. None may be refused.
2. Some courses move into the slot of another one. Their students leave them, and request them again: refused must be
   exactly those that meet at the same time as another course of the student, with these as the facts.
3. The courses move back, the term gets a limit of 15 credits, and the students leave all courses. Each course is
   requested alone, in random order: each student must get exactly as many as the limit allows.
"""

from __future__ import annotations

import json
import random
import secrets
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, permutations
from typing import Any, NamedTuple

from .client import OK, Json, Response, Service, Unusable, create, create_open_term
from .enrollments import CourseRequests, check, enroll, look, unenroll

DAYS = {"starts_on": "2000-01-01", "ends_on": "2999-12-31"}
CREDITS, LIMIT = 3, 15
MOVED = 20
"""Courses that move into the slot of another one."""
DAYS_PER_WEEK, HOURS_PER_DAY = 7, 24
REFUSED = 409
FAULTS = ("wrong_counts", "wrong_lists", "wrong_waitlists", "wrong_now_clashing", "wrong_refusals", "wrong_credits")
Clashes = dict[tuple[int, str], frozenset[int]]
"""The ids of the other courses that meet at the same time, by student and code of the course."""


class Slot(NamedTuple):
    """One hour of the week: the weekday from 1, and the hour from 0."""

    weekday: int
    hour: int

    def as_meeting(self) -> Json:
        """Return the meeting as the service takes it. That of the next hour begins when this one ends."""
        return {"weekday": self.weekday, "starts": f"{self.hour:02}:00", "ends": f"{self.hour + 1:02}:00", **DAYS}


@dataclass
class School:
    """The courses of one term, where they meet, and who is enrolled in them by what was acknowledged."""

    service: Service
    term: str
    ids: Mapping[str, int]
    slots: dict[str, Slot]
    enrolled: CourseRequests
    wrong: dict[str, list[Any]] = field(default_factory=lambda: {kind: [] for kind in FAULTS})
    failures: int = 0

    def move(self, slots: Mapping[str, Slot]) -> None:
        """Move courses, one by one, and compare the students who now have a time conflict with a brute force."""
        for code, slot in slots.items():
            self.slots[code] = slot
            path = f"/courses/{self.ids[code]}/meetings"
            response = self.service.request_json("PUT", path, [slot.as_meeting()])
            if response["now_clashing"] != sorted(s for s, _ in self.clashes({code}, self.enrolled)):
                self.wrong["wrong_now_clashing"].append(code)

    def clashes(self, courses: Collection[str], requests: CourseRequests) -> Clashes:
        """Find by brute force which of the courses meet at the same time as another course of the same student."""
        found: dict[tuple[int, str], set[int]] = defaultdict(set)
        for student, codes in requests.items():
            for code, other in permutations(codes, 2):
                if code in courses and self.slots[code] == self.slots[other]:
                    found[student, code].add(self.ids[other])
        return {pair: frozenset(others) for pair, others in found.items()}

    def compare(self) -> None:
        """Compare every list and course with what was acknowledged. Each seat with demand must be taken."""
        seen = look(self.service, self.ids, self.enrolled)
        for kind, found in check(dict.fromkeys(self.ids), self.enrolled, seen, seen).items():
            self.wrong[kind] += found


def replay_in_term(service: Service, students: Sequence[Sequence[int]], seed: int) -> tuple[Json, dict[str, list[Any]]]:
    """Replay the enrollments in the three phases. Return the figures and the faults."""
    prefix, choice = secrets.token_hex(3), random.Random(seed)  # noqa: S311 - no secret, a choice
    wanted = [[f"{prefix}-{number:04}" for number in numbers] for numbers in students]
    slots = color(wanted)
    school = create_school(service, prefix, wanted, slots)
    requests = school.enrolled
    figures: Json = {
        "students": len(requests),
        "courses": len(slots),
        "enrollments": sum(map(len, wanted)),
        "slots": len(set(slots.values())),
        **enroll(service, school.ids, requests, waitlist=False),
    }
    school.compare()
    if figures["failures"]:
        return figures, school.wrong
    moved = choose_to_move(wanted, slots, choice)
    figures |= {"seed": seed, "courses_moved": len(moved), "refused_for_conflicts": conflicts(school, moved)}
    school.compare()
    school.move({code: slots[code] for code in moved})
    figures |= {"credit_limit": LIMIT, "refused_for_credits": limit(school, requests, choice)}
    school.compare()
    found = {kind: len(faults) for kind, faults in school.wrong.items()}
    return figures | {"failures": school.failures, **found}, school.wrong


def color(wanted: Sequence[Sequence[str]]) -> dict[str, Slot]:
    """Give each course a slot that differs from those of all courses with a student in common, the busiest first.

    Slots follow each other without a break. Raises `Unusable` if a week has too few.
    """
    neighbors: dict[str, set[str]] = defaultdict(set)
    for codes in wanted:
        for code in codes:
            neighbors[code].update(codes)
    colors: dict[str, int] = {}
    for code in sorted(neighbors, key=lambda code: (-len(neighbors[code]), code)):
        taken = {colors.get(other) for other in neighbors[code]}
        colors[code] = next(number for number in count() if number not in taken)
    if max(colors.values()) >= DAYS_PER_WEEK * HOURS_PER_DAY:
        raise Unusable("A week has too few hours for these courses.")
    return {code: Slot(number // HOURS_PER_DAY + 1, number % HOURS_PER_DAY) for code, number in colors.items()}


def create_school(service: Service, prefix: str, wanted: Sequence[Sequence[str]], slots: Mapping[str, Slot]) -> School:
    """Create a term that is always open, its courses with their meetings, and the students."""
    term_id = create_open_term(service, prefix, DAYS)
    courses = {
        code: {"code": code, "title": code, "capacity": seats, "term_id": term_id, "credits": CREDITS}
        for code, seats in Counter(chain.from_iterable(wanted)).items()
    }
    ids = create(service, "/courses", courses)
    people = {n: {"name": f"Student {n}", "email": f"{prefix}-{n}@example.edu"} for n in range(len(wanted))}
    students = create(service, "/students", people).values()
    school = School(service, f"/terms/{term_id}", ids, dict(slots), {})
    school.move(slots)
    school.enrolled = dict(zip(students, wanted, strict=True))
    return school


def choose_to_move(
    wanted: Sequence[Sequence[str]], slots: Mapping[str, Slot], choice: random.Random
) -> dict[str, Slot]:
    """Choose courses to move, each into the slot of another one of the same student, which stays."""
    shared = [codes for codes in wanted if len(codes) > 1]
    moved: dict[str, Slot] = {}
    stay: set[str] = set()
    for codes in choice.sample(shared, len(shared)):
        code, other = choice.sample(codes, 2)
        if len(moved) < MOVED and not {code, other} & moved.keys() and code not in stay:
            moved[code] = slots[other]
            stay.add(other)
    return moved


def conflicts(school: School, moved: Mapping[str, Slot]) -> int:
    """Let the students of moved courses request them again. Return how many are refused for a time conflict."""
    requests = school.enrolled
    school.move(moved)
    expected = school.clashes(moved, requests)
    asked = {student: codes for student in requests if (codes := [c for c in requests[student] if c in moved])}
    school.failures += unenroll(school.service, school.ids, asked)
    found = request_again(school, asked)
    school.wrong["wrong_refusals"] += sorted(
        pair for pair in expected.keys() | found.keys() if expected.get(pair) != found.get(pair)
    )
    school.enrolled = {s: [code for code in codes if (s, code) not in expected] for s, codes in requests.items()}
    # A request is applied as a whole or not at all, so these students have none of the moved courses.
    refused = {student for student, _ in expected}
    rest = {s: codes for s in refused if (codes := [code for code in asked[s] if code in school.enrolled[s]])}
    if rest:
        school.failures += enroll(school.service, school.ids, rest, waitlist=False)["failures"]
    return len(found)


def request_again(school: School, asked: CourseRequests) -> Clashes:
    """Enroll each student with one request, and return which courses are refused for conflicts with which others."""
    service, codes_of = school.service, {course_id: code for code, course_id in school.ids.items()}
    bodies = {student: {"course_ids": [school.ids[code] for code in codes]} for student, codes in asked.items()}
    responses = service.each("Enrolling", lambda s: service.call("POST", f"/students/{s}/enroll", bodies[s]), bodies)
    found: Clashes = {}
    for student, response in responses.items():
        for course_id, reasons in refusals(response).items():
            others = frozenset(meeting["course_id"] for reason in reasons for meeting in reason.get("with", ()))
            alone = {reason["code"] for reason in reasons} == {"time_conflict"}
            found[student, codes_of[course_id]] = others if alone else frozenset()
    return found


def limit(school: School, requests: CourseRequests, choice: random.Random) -> int:
    """Limit the credits of the term, and request each course alone. Return how many requests are refused."""
    service = school.service
    service.request_json("PATCH", school.term, {"credit_limit": LIMIT})
    held = {student: codes for student, codes in school.enrolled.items() if codes}
    school.failures += unenroll(service, school.ids, held)
    pairs = [(student, code) for student, codes in requests.items() for code in codes]
    responses = service.each(
        "Enrolling one by one",
        lambda pair: service.call("POST", f"/students/{pair[0]}/enroll", {"course_id": school.ids[pair[1]]}),
        choice.sample(pairs, len(pairs)),
    )
    expected = {"limit": LIMIT, "held": LIMIT, "asked": CREDITS}
    taken: dict[int, list[str]] = {student: [] for student in requests}
    refused = 0
    for (student, code), response in responses.items():
        if response.has_enrolled():
            taken[student].append(code)
            continue
        refused += 1
        (reasons,) = refusals(response).values() or ([],)
        facts = [{name: reason.get(name) for name in ("code", *expected)} for reason in reasons]
        if facts != [{"code": "credit_limit_exceeded", **expected}]:
            school.wrong["wrong_refusals"].append((student, code))
    school.wrong["wrong_credits"] += [
        student for student, codes in taken.items() if len(codes) != min(len(requests[student]), LIMIT // CREDITS)
    ]
    school.enrolled = taken
    return refused


def refusals(response: Response) -> dict[int, list[Json]]:
    """Return the reasons against each refused course. Raises `Unusable` if the request failed for something else."""
    if response.has_enrolled() or response.status == OK:
        return {}
    if response.status != REFUSED:
        raise Unusable(f"The service responds to an enrollment with {response.status}.")
    decisions = json.loads(response.body)["decisions"]
    return {each["course_id"]: each["reasons"] for each in decisions if each["outcome"] == "refused"}
