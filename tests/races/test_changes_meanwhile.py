"""When data changes between two steps of one request, it decides again, and the response is what is true then."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from course_management.context import RequestContext
from course_management.errors import CourseNotFound
from course_management.services import enrollment
from course_management.services.enrollment import enrolling, promotion, replacing
from course_management.services.enrollment.decisions import Decision
from course_management.services.enrollment.request import EnrollmentRequest

from ..support.fixture_types import Counters, Enroll, Held, Make, Sql
from ..support.waits import wait_until_blocked


@pytest.fixture
def before_explaining(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets something happen once, between a statement that was not carried out and the reading of why."""

    def arrange(module: Any, happen: Callable[[], Any]) -> None:
        original = module.situation_of

        def situation_of(*args: Any, **kwargs: Any) -> Any:
            monkeypatch.setattr(module, "situation_of", original)
            happen()
            return original(*args, **kwargs)

        monkeypatch.setattr(module, "situation_of", situation_of)

    return arrange


def test_a_seat_that_becomes_free_while_a_refusal_is_explained_is_taken(
    student: Make, course: Make, enroll: Enroll, sql: Sql, before_explaining: Any
) -> None:
    full = course(capacity=0)
    before_explaining(enrolling, lambda: sql("UPDATE courses SET capacity = 1"))

    assert enroll(student(), full).status_code == 201


def test_a_replacement_decides_again_when_the_reason_to_refuse_is_gone(
    client: FlaskClient, student: Make, course: Make, monkeypatch: pytest.MonkeyPatch, sql: Sql
) -> None:
    """The statement enrolled nobody, and by the time of the decision no course refuses."""
    ada, full = student(), course(capacity=0)
    decide = EnrollmentRequest.decide

    def eligible(request: EnrollmentRequest, _: Any) -> list[Decision]:
        return [Decision(course_id, "eligible", action="enroll") for course_id in request.course_ids]

    def promote_waiting_first(*_: Any) -> None:
        sql("UPDATE courses SET capacity = 1")
        monkeypatch.setattr(EnrollmentRequest, "decide", decide)

    monkeypatch.setattr(EnrollmentRequest, "decide", eligible)
    monkeypatch.setattr(replacing, "promote_waiting_first", promote_waiting_first)

    assert client.put(f"/students/{ada}/enroll", json={"course_ids": [full]}).get_json()["enrolled"] == [full]


def test_a_student_enrolled_while_unenrolling_is_explained_is_unenrolled(
    client: FlaskClient, student: Make, course: Make, sql: Sql, before_explaining: Any, held: Held
) -> None:
    ada, programming = student(), course()
    enroll = "INSERT INTO student_courses (student_id, course_id, status) VALUES (:ada, :course, 'enrolled')"
    before_explaining(enrollment.unenrolling, lambda: sql(enroll, ada=ada, course=programming))

    response = client.delete(f"/students/{ada}/unenroll", json={"course_id": programming})

    assert response.get_json()["results"] == [{"course_id": programming, "outcome": "unenrolled"}]
    assert held(ada) == {}


def test_a_course_left_during_the_request_is_reported_as_the_request_found_it(
    student: Make, course: Make, enroll: Enroll, sql: Sql, before_explaining: Any
) -> None:
    ada, kept, new = student(), course(), course()
    enroll(ada, kept)
    before_explaining(enrolling, lambda: sql("UPDATE student_courses SET status = 'unenrolled'"))

    response = enroll(ada, kept, new)

    assert [each["outcome"] for each in response.get_json()["results"]] == ["already_enrolled", "enrolled"]


def test_a_failed_promotion_does_not_change_the_response_and_happens_later(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, ada, waiting = course(capacity=1, waitlist_capacity=1), student(), student()
    for each in (ada, waiting):
        enroll(each, full, waitlist=True)
    with monkeypatch.context() as patch:
        patch.setattr(promotion, "_promote_batch", _fail)
        assert client.delete(f"/students/{ada}/unenroll", json={"course_id": full}).status_code == 200
        assert held(waiting) == {full: "waitlisted"}

    enroll(student(), full)

    assert held(waiting) == {full: "enrolled"}


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_seat_that_is_free_after_another_promotion_is_taken(
    client: FlaskClient,
    student: Make,
    course: Make,
    enroll: Enroll,
    held: Held,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    """The background work promotes between the look that found a student waiting and the promotion of the request."""
    full, waiting, newcomer = course(capacity=0, waitlist_capacity=1), student(), student()
    enroll(waiting, full, waitlist=True)
    sql("UPDATE courses SET capacity = 2")

    def promote(course_list: Any, context: RequestContext) -> promotion.Promotion:
        monkeypatch.setattr(enrolling, "promote", promotion.promote)
        assert promotion.promote_all(context) == (1, 0)
        return promotion.promote(course_list, context)

    monkeypatch.setattr(enrolling, "promote", promote)

    response = client.open(f"/students/{newcomer}/enroll", method=method, json={"course_ids": [full]})

    assert response.status_code == {"POST": 201, "PUT": 200}[method], response.text
    assert (held(waiting), held(newcomer)) == ({full: "enrolled"}, {full: "enrolled"})


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_during_a_long_promotion_a_newcomer_is_refused_without_waiting(
    client: FlaskClient,
    student: Make,
    course: Make,
    enroll: Enroll,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
    counters: Counters,
    method: str,
) -> None:
    full = course(capacity=0, waitlist_capacity=None)
    for _ in range(5):
        enroll(student(), full, waitlist=True)
    sql("UPDATE courses SET capacity = 100")
    monkeypatch.setattr(promotion, "BATCH", 1)
    monkeypatch.setattr(promotion, "TIME_LIMIT_S", 0)

    response = client.open(f"/students/{student()}/enroll", method=method, json={"course_ids": [full]})

    assert (response.status_code, response.get_json()["code"]) == (409, "enrollment_refused")
    assert counters(full) == (1, 4)  # one batch, and no second try


def _fail(*_: Any, **__: Any) -> None:
    raise OperationalError("", None, Exception())


def test_a_promotion_whose_query_fails_does_not_change_the_response(
    client: FlaskClient, student: Make, course: Make, enroll: Enroll, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, programming = student(), course()
    enroll(ada, programming)
    monkeypatch.setattr(promotion, "autocommit", _fail)

    response = client.delete(f"/students/{ada}/unenroll", json={"course_id": programming})

    assert response.get_json()["results"] == [{"course_id": programming, "outcome": "unenrolled"}]


def test_the_promotion_of_one_request_ends(
    app: Flask, student: Make, course: Make, enroll: Enroll, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = course(capacity=0, waitlist_capacity=None)
    for _ in range(3):
        enroll(student(), full, waitlist=True)
    sql("UPDATE courses SET capacity = NULL")
    monkeypatch.setattr(promotion, "BATCH", 1)
    monkeypatch.setattr(promotion, "TIME_LIMIT_S", 0)

    with app.app_context():
        assert enrollment.promote([full], RequestContext()) == (1, True)
        assert enrollment.promote_all(RequestContext()) == (2, 0)


def test_what_cannot_be_promoted_is_counted(
    app: Flask, student: Make, course: Make, enroll: Enroll, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = course(capacity=0, waitlist_capacity=None)
    enroll(student(), full, waitlist=True)
    sql("UPDATE courses SET capacity = 1")
    monkeypatch.setattr(promotion, "_promote_batch", _fail)

    with app.app_context():
        assert enrollment.promote_all(RequestContext()) == (0, 1)


def test_a_committed_enrollment_gets_its_response_even_if_the_position_cannot_be_read(
    student: Make, course: Make, enroll: Enroll, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, full, free = student(), course(capacity=0, waitlist_capacity=1), course()
    monkeypatch.setattr(enrolling, "dry_run", _fail)

    response = enroll(ada, free, full, waitlist=True)

    assert response.status_code == 201
    assert response.get_json()["results"] == [
        {"course_id": free, "outcome": "enrolled"},
        {"course_id": full, "outcome": "waitlisted"},
    ]


def test_a_course_that_did_not_change_is_not_reported_if_its_status_cannot_be_read(
    student: Make, course: Make, enroll: Enroll, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The student waits there: a guess would say that the student is enrolled. The client asks again."""
    ada, full, free = student(), course(capacity=0, waitlist_capacity=1), course()
    enroll(ada, full, waitlist=True)

    with monkeypatch.context() as patch:
        patch.setattr(enrolling, "dry_run", _fail)
        response = enroll(ada, free, full, waitlist=True)
    again = enroll(ada, free, full, waitlist=True)

    assert (response.status_code, response.get_json()["code"]) == (503, "database_unavailable")
    assert held(ada) == {full: "waitlisted", free: "enrolled"}
    assert [result["outcome"] for result in again.get_json()["results"]] == ["already_enrolled", "already_waitlisted"]


def test_a_constraint_that_refuses_what_the_rules_allow_is_no_outage(
    student: Make, course: Make, enroll: Enroll, sql: Sql
) -> None:
    """A counter was changed by hand: waiting does not fix that, so the response is not 503."""
    programming = course(capacity=1)
    sql("UPDATE courses SET last_queue_number = 0, waitlist_capacity = 5, seats_taken = 1")
    other = student()
    sql(
        "INSERT INTO student_courses (student_id, course_id, status, queue_number)"
        " VALUES (:other, :course, 'waitlisted', 7)",
        other=other,
        course=programming,
    )
    sql("UPDATE courses SET last_queue_number = 6")

    response = enroll(student(), programming, waitlist=True)

    assert (response.status_code, response.get_json()["code"]) == (500, "internal_error")


def test_a_wrong_counter_does_not_promote_endlessly(app: Flask, course: Make, sql: Sql) -> None:
    full = course(capacity=1)
    sql("UPDATE courses SET waiting = 1, waitlist_capacity = 1")

    with app.app_context():
        assert enrollment.promote([full], RequestContext()) == (0, True)


def test_a_course_deleted_before_its_promotion_promotes_no_student(app: Flask) -> None:
    with app.app_context():
        assert promotion._promote_batch(999, RequestContext()) == promotion.PromotionBatch()  # noqa: SLF001


def test_a_replacement_that_meets_a_new_enrollment_counts_it_in(
    app: Flask, backend: str, engine: Engine, student: Make, course: Make, held: Held
) -> None:
    if backend == "sqlite":
        pytest.skip("SQLite has one writer: no enroll runs during a replacement")
    ada, wanted, other = student(), course(), course()
    with ThreadPoolExecutor(1) as pool, engine.connect() as rival:
        rival.execute(text("SELECT id FROM courses WHERE id = :id FOR NO KEY UPDATE"), {"id": wanted})

        def replace() -> Any:
            with app.app_context():
                return enrollment.replace(enrollment.EnrollmentRequest(ada, [wanted], context=RequestContext()))

        waiting = pool.submit(replace)
        wait_until_blocked(engine)
        rival.execute(
            text("INSERT INTO student_courses (student_id, course_id, status) VALUES (:ada, :other, 'enrolled')"),
            {"ada": ada, "other": other},
        )
        rival.commit()

        assert waiting.result().unenrolled == [other]
    assert held(ada) == {wanted: "enrolled"}


def test_an_enrollment_by_rules_that_meets_a_change_of_another_course_is_decided_again(
    client: FlaskClient,
    backend: str,
    engine: Engine,
    student: Make,
    course: Make,
    term: Make,
    enroll: Enroll,
    held: Held,
) -> None:
    """A course without a term does not raise the revision that the decision is compared with."""
    if backend == "sqlite":
        pytest.skip("SQLite has one writer: nothing changes during a statement")
    ada, fall, without_term = student(), term(), course()
    client.put(
        f"/terms/{fall}/windows", json=[{"opens_at": "2000-01-01T00:00:00Z", "closes_at": "2100-01-01T00:00:00Z"}]
    )
    of_term = course(term_id=fall)
    enroll(student(), of_term)  # from now on, the service knows that its rules must be asked first
    enroll(ada, without_term)
    with ThreadPoolExecutor(1) as pool, engine.connect() as rival:
        rival.execute(text("UPDATE student_courses SET status = 'unenrolled' WHERE student_id = 1"))
        waiting = pool.submit(enroll, ada, of_term, without_term)
        wait_until_blocked(engine)
        rival.commit()
        response = waiting.result()

    assert response.status_code == 201
    assert held(ada) == {of_term: "enrolled", without_term: "enrolled"}


def test_an_unknown_course_is_no_race(app: Flask, student: Make) -> None:
    with app.app_context(), pytest.raises(CourseNotFound):
        enrollment.unenroll(student(), [999], context=RequestContext())
