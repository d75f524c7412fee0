"""Enroll and unenroll students at a running service, then check every seat against what was requested."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlencode

from .client import OK, Json, Service

Capacities: TypeAlias = Mapping[str, int | None]
"""The seats of each course, by its code; None means no limit."""
CourseRequests: TypeAlias = Mapping[int, Sequence[str]]
"""Student id to course codes: the courses in which the student must be enrolled or waitlisted, and no others."""


class Seen(NamedTuple):
    """What the service reports: each student's list, and each course with its waitlist: (position, student)."""

    lists: dict[int, list[Json]]
    courses: dict[str, Json]


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


def unenroll(service: Service, ids: Mapping[str, int], dropped: CourseRequests) -> int:
    """Unenroll each student with one request, and return the number of failed requests."""
    bodies = {s: {"course_ids": [ids[code] for code in codes]} for s, codes in dropped.items()}
    responses = service.each(
        "Unenrolling", lambda s: service.call("DELETE", f"/students/{s}/unenroll", bodies[s]), bodies
    )
    return sum(response.status != OK for response in responses.values())


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
