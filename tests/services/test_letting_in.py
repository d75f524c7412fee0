"""A registrar lets in one student from a waitlist; the page of it is tested in tests/web/test_registrar_courses.py."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from course_management.context import RequestContext
from course_management.errors import CourseNotFound, EnrollmentRefused
from course_management.maintenance import verify
from course_management.services.enrollment import EnrollmentRequest
from course_management.services.enrollment.letting_in import let_in

from ..support.fixture_types import Make


def test_the_others_keep_their_order_and_a_seat_is_added_only_if_none_is_free(
    app: Flask, client: Any, student: Make, course: Make, enroll: Any, held: Any
) -> None:
    course_id = course(capacity=1, waitlist_capacity=9)
    holder, first, second, third = (student() for _ in range(4))
    for student_id in (holder, first, second, third):
        enroll(student_id, course_id, waitlist=True)
    request = EnrollmentRequest(third, [course_id], context=RequestContext(), ledger_reason="Last year")

    with app.app_context():
        with pytest.raises(EnrollmentRefused):
            let_in(request)
        let_in(request, adds_seat=True)
        again = let_in(request, adds_seat=True)
        unknown = EnrollmentRequest(third, [999], context=RequestContext())
        with pytest.raises(CourseNotFound):
            let_in(unknown, adds_seat=True)
        broken = [finding.name for finding in verify.verify() if finding.evidence and not finding.note]

    waiting = client.get(f"/courses/{course_id}/students?status=waitlisted").get_json()["items"]
    assert [(row["student_id"], row["position"]) for row in waiting] == [(first, 1), (second, 2)]
    assert held(third) == {course_id: "enrolled"}
    assert client.get(f"/courses/{course_id}").get_json()["capacity"] == 2
    assert [outcome.outcome for outcome in again] == ["already_enrolled"]
    assert broken == []
