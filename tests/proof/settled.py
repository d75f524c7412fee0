"""What must be true when the load is over: every acknowledged response, the ledger, and the order of the waitlists."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from course_management.models import HELD

from .clients import Claim, agrees
from .load import Load
from .report import Check


def settled(load: Load) -> list[Check]:
    """Return the checks of a load that is over."""
    rows = load.stage.sql("SELECT student_id, course_id, status, queue_number FROM student_courses")
    lines = load.stage.sql("SELECT * FROM enrollment_events ORDER BY course_id, id")
    capacities = dict(map(tuple, load.stage.sql("SELECT id, capacity FROM courses")))
    held: dict[int, dict[int, str]] = defaultdict(dict)
    for row in rows:
        if row.status in HELD:
            held[row.student_id][row.course_id] = row.status
    claims, unsure, refused = (load.union(name) for name in ("claims", "unsure", "refused"))
    following: dict[tuple[int, int], str] = {}
    by_request = []
    for line in reversed(lines):
        pair = line.student_id, line.course_id
        if line.request_id and line.actor != "promotion":
            claim = Claim(line.request_id, *pair, line.to_status)
            enrolled = claim._replace(status="enrolled")
            # A student promoted before the response was sent got the response `enrolled`.
            was_promoted = claim.status == "waitlisted" and following.get(pair) == "promotion" and enrolled in claims
            by_request.append(enrolled if was_promoted else claim)
        following[pair] = line.actor
    repeated = Counter((line.request, line.student, line.course) for line in by_request)
    return [
        Check("responses that contradict an earlier one", load.contradictions[:5], []),
        Check(
            "students whose courses are not those of their last response",
            [student for student, reported in load.held.items() if not agrees(held[student], reported)],
            [],
        ),
        Check(
            "courses whose capacity is not that of the last response",
            [course for course, capacity in load.capacities if capacities[course] != capacity],
            [],
        ),
        Check("acknowledged changes that are missing in the ledger", len(claims.difference(by_request))),
        Check(
            "changes that no response reported",
            sum(line not in claims and line.request not in unsure for line in by_request),
        ),
        Check("changes by a refused request", sum(line.request in refused for line in by_request)),
        Check("changes applied twice for one request", sum(count > 1 for count in repeated.values())),
        Check("positions on a waitlist out of order", waitlist_faults(lines, rows)[:5], []),
    ]


def waitlist_faults(lines: Sequence[Any], rows: Sequence[Any]) -> list[str]:
    """Return where the ledger shows a waitlist that was promoted out of order, or overtaken.

    In one course the lines follow each other as the changes did. Those of one promotion come by student, and only
    together they are the head of the waitlist. Writes beside the service may overtake, and never wait here.
    """
    faults = []
    waitlists: dict[int, list[int]] = defaultdict(list)
    for (course, promotion, *_), group in groupby((line for line in lines if line.actor != "database"), _step):
        waitlist = waitlists[course]
        if promotion:
            promoted = {line.student_id for line in group}
            if promoted != {*waitlist[: len(promoted)]}:
                faults.append(f"in course {course}, {promoted} got seats before {waitlist[:5]}")
            waitlists[course] = [student for student in waitlist if student not in promoted]
            continue
        for line in group:
            if line.from_status == "waitlisted":
                waitlist.remove(line.student_id)
            if line.to_status == "waitlisted":
                waitlist.append(line.student_id)
            elif line.to_status == "enrolled" and waitlist:
                faults.append(f"in course {course}, {line.student_id} overtook {waitlist[:5]} in {line.request_id}")
    waiting = sorted((row.course_id, row.queue_number, row.student_id) for row in rows if row.status == "waitlisted")
    for course, waitlist in waitlists.items():
        if waitlist != [student for at, _, student in waiting if at == course]:
            faults.append(f"in course {course}, the waitlist is not in the order of the ledger")
    return faults


def _step(line: Any) -> tuple[Any, ...]:
    """Return what the lines of one promotion have in common; any other line is a step alone."""
    promotion = line.actor == "promotion"
    return (line.course_id, promotion, *((line.at, line.request_id) if promotion else (line.id,)))
