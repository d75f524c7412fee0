"""Services work in a script: inside an application context, without a request."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from flask import Flask, has_request_context

from course_management.context import NamedActor, RequestContext
from course_management.database import Raced, retry
from course_management.services import enrollment

from ..support.fixture_types import Make


def test_a_script_enrolls_and_unenrolls(
    app: Flask, student: Make, course: Make, held: Callable[[int], dict[int, str]]
) -> None:
    ada, full, other = student(), course(capacity=0, waitlist_capacity=1), course()
    script = RequestContext(caller=NamedActor("script"))

    with app.app_context():
        assert not has_request_context()
        outcomes = enrollment.enroll(enrollment.EnrollmentRequest(ada, [full, other], waitlist=True, context=script))
        left = enrollment.unenroll(ada, [other], context=script)

    assert [each.outcome for each in outcomes] == ["waitlisted", "enrolled"]
    assert [each.outcome for each in left] == ["unenrolled"]
    assert held(ada) == {full: "waitlisted"}


@pytest.mark.parametrize(("deadline_ms", "tries"), [(100, 1), (60_000, 2)])
def test_a_script_tries_again_for_as_long_as_a_request(
    make_app: Callable[..., Flask], deadline_ms: int, tries: int
) -> None:
    made = 0

    def work() -> None:
        nonlocal made
        made += 1
        time.sleep(0.15)
        if made == 1:
            raise Raced

    with make_app(database_deadline_ms=deadline_ms).app_context():
        if tries == 1:
            with pytest.raises(Raced):
                retry(work, repeatable=True)
        else:
            retry(work, repeatable=True)

    assert made == tries
