"""benchmarks/timetable.py: the timetable that it makes, and that each of its checks can fail."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection
from typing import Any, cast

import pytest
from benchmarks.client import Json, Response, Service, Unusable
from benchmarks.timetable import School, Slot

from benchmarks import timetable

A, B, C = 1, 2, 3
CONFLICT = {"code": "time_conflict", "with": [{"course_id": B}]}
LIMIT = {"code": "credit_limit_exceeded", "limit": 15, "held": 15, "asked": 3}


class FakeService:
    """Responds to each enrollment in a course with these reasons, and to all else with what is right."""

    def __init__(self, reasons: Json) -> None:
        self.reasons, self.now_clashing = reasons, [7]

    def each(self, _: str, work: Callable[[Any], Any], things: Collection[Any]) -> dict[Any, Any]:
        return {thing: work(thing) for thing in things}

    def request_json(self, *_: Any) -> Json:
        return {"now_clashing": self.now_clashing}

    def call(self, method: str, _: str, body: Json) -> Response:
        refused = [{"course_id": A, "outcome": "refused", "reasons": [self.reasons]}] if self.reasons else []
        if method == "DELETE":
            return Response(200, b"", 0.0, repeated=False)
        is_refused = refused and A in body.get("course_ids", [body.get("course_id")])
        return Response(409 if is_refused else 201, json.dumps({"decisions": refused}).encode(), 0.0, repeated=False)


def school(reasons: Json, codes: str = "ABC") -> tuple[School, FakeService]:
    """Return a school in which student 7 is enrolled in these courses, and its service."""
    service = FakeService(reasons)
    slots = {code: Slot(1, hour) for hour, code in enumerate("ABCDEF")}
    ids = {code: number for number, code in enumerate("ABCDEF", start=A)}
    return School(cast("Service", service), "/terms/1", ids, slots, {7: list(codes)}), service


def test_courses_of_a_student_meet_at_different_times_and_others_may_share_one() -> None:
    slots = timetable.color([["A", "B"], ["B", "C"], ["D"]])

    assert slots.keys() == set("ABCD")
    assert len({slots["A"], slots["B"]}) == len({slots["B"], slots["C"]}) == 2
    assert len(set(slots.values())) == 2


def test_more_courses_than_hours_of_a_week_are_refused() -> None:
    with pytest.raises(Unusable, match="too few hours"):
        timetable.color([list(map(str, range(7 * 24 + 1)))])


def test_a_course_moves_into_the_slot_of_one_that_stays() -> None:
    wanted = [[f"{n}", f"{n + 1}"] for n in range(100)]
    slots = timetable.color(wanted)

    moved = timetable.choose_to_move(wanted, slots, random.Random(1))  # noqa: S311 - no secret, a choice

    assert len(moved) == 20
    after = slots | moved
    assert all(any(after[a] == after[b] and code in (a, b) for a, b in wanted) for code in moved)


@pytest.mark.parametrize(
    ("reasons", "wrong"),
    [
        (CONFLICT, []),
        ({}, [(7, "A")]),
        ({**CONFLICT, "with": [{"course_id": C}]}, [(7, "A")]),
        ({"code": "hold"}, [(7, "A")]),
    ],
    ids=["right", "not refused", "another course", "another reason"],
)
def test_a_refusal_for_a_conflict_other_than_the_computed_one_is_found(
    reasons: Json, wrong: list[tuple[int, str]]
) -> None:
    found, _ = school(reasons)

    timetable.conflicts(found, {"A": Slot(1, 1)})

    assert found.wrong["wrong_refusals"] == wrong
    assert not found.failures
    assert found.enrolled == {7: ["B", "C"]}


def test_a_conflict_where_no_course_meets_at_the_same_time_is_found() -> None:
    found, service = school(CONFLICT)
    service.now_clashing = []

    timetable.conflicts(found, {"A": Slot(2, 0)})

    assert found.wrong["wrong_refusals"] == [(7, "A")]


def test_wrong_students_in_the_response_to_new_meetings_are_found() -> None:
    found, service = school(CONFLICT)
    service.now_clashing = [7, 8]

    found.move({"A": Slot(1, 1)})

    assert found.wrong["wrong_now_clashing"] == ["A"]


@pytest.mark.parametrize(
    ("reasons", "refusals", "students"),
    [(LIMIT, [], []), ({}, [], [7]), ({**LIMIT, "held": 12}, [(7, "A")], []), (CONFLICT, [(7, "A")], [])],
    ids=["right", "not refused", "below the limit", "another reason"],
)
def test_credits_above_the_limit_and_a_refusal_below_it_are_found(
    reasons: Json, refusals: list[tuple[int, str]], students: list[int]
) -> None:
    found, _ = school(reasons, "ABCDEF")

    timetable.limit(found, {7: list("ABCDEF")}, random.Random(1))  # noqa: S311 - no secret, a choice

    assert (found.wrong["wrong_refusals"], found.wrong["wrong_credits"]) == (refusals, students)
