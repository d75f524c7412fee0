"""Groups: the statements of waiting requests travel together, and each request gets what it would get alone."""

from __future__ import annotations

import functools
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import URL, Engine, String, bindparam, create_engine, event, func, select, text
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool

from course_management.context import RequestContext, current, use
from course_management.database import autocommit, groups, hub, kind_of, pipeline, transaction, travels, waves, writing
from course_management.models import Course

from ..support.databases import PATIENCE_S
from ..support.fixture_types import Make
from ..support.grouping import MODE
from ..support.keys import create_key
from ..support.traveling import SET_CAPACITY

pytestmark = pytest.mark.greenlets


@pytest.fixture(autouse=True)
def no_busy_courses() -> None:
    """Forget the courses that an earlier test has locked, in another database."""
    waves._busy_until.clear()  # noqa: SLF001


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[list[groups.Call]]:
    """Return the statements of each wave, in the order in which the group hands them over."""
    sent: list[list[groups.Call]] = []
    really_send = waves.send_all

    def send_all(calls: list[groups.Call], *others: Any) -> Iterator[groups.Call]:
        sent.append(calls)
        return really_send(calls, *others)

    if MODE == "always":
        pytest.skip("requests before the group are groups, too")
    monkeypatch.setattr(waves, "send_all", send_all)
    return sent


@pytest.fixture
def group(app: Flask) -> Callable[..., list[Any]]:
    """Return a function that runs calls as members of one group, and returns what each returned or raised."""

    def run(*calls: Callable[[], Any]) -> list[Any]:
        results: list[Any] = [None] * len(calls)

        def member(index: int, call: Callable[[], Any]) -> None:
            with app.app_context():
                try:
                    results[index] = call()
                except Exception as error:  # noqa: BLE001 - it is the result
                    results[index] = error

        hub.run([functools.partial(member, index, call) for index, call in enumerate(calls)])
        return results

    return run


@pytest.fixture
def ask(app: Flask) -> Callable[..., Callable[[], Any]]:
    """Return a function that returns one that sends a request, each by a client of its own."""

    def make(method: str, path: str, body: Any = None) -> Callable[[], Any]:
        return lambda: app.test_client().open(path, method=method, json=body)

    return make


@contextmanager
def other_session(database: URL) -> Iterator[Any]:
    """Open a transaction of another client."""
    engine = create_engine(database, poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
        connection.rollback()
    engine.dispose()


@contextmanager
def listening(engine: Engine, note: Callable[..., None]) -> Iterator[None]:
    """Call `note` whenever a connection is taken from the pool."""
    event.listen(engine, "checkout", note)
    yield
    event.remove(engine, "checkout", note)


def enrolling(student_id: int, *ids: int) -> tuple[str, str, Any]:
    return "POST", f"/students/{student_id}/enroll", {"course_ids": ids, "waitlist": True}


def seats(course_id: int, number: Any) -> Callable[[], Sequence[Any]]:
    return lambda: autocommit(SET_CAPACITY, {"course_ids": [course_id], "seats": number})


def test_lists_and_enrolls_of_a_group_are_one_wave_and_each_gets_its_own_response(
    backend: str, group: Callable[..., list[Any]], ask: Any, sent: list[Any], student: Make, course: Make, enroll: Any
) -> None:
    students, ids = [student() for _ in range(6)], [course() for _ in range(3)]
    for index, student_id in enumerate(students[:3]):
        enroll(student_id, ids[index])

    lists = [ask("GET", f"/students/{student_id}/courses") for student_id in students[:3]]
    responses = group(*lists, *(ask(*enrolling(student_id, ids[0])) for student_id in students[3:]))

    assert [response.get_json()["courses"][0]["id"] for response in responses[:3]] == ids
    assert [response.get_json()["student_id"] for response in responses[3:]] == students[3:]
    assert [response.status_code for response in responses[3:]] == [201] * 3
    assert [len(calls) for calls in sent] == [6 if backend == "postgresql" else 3]  # reads of SQLite do not wait


def test_the_last_seat_goes_to_one_of_a_group(
    group: Callable[..., list[Any]], ask: Any, student: Make, course: Make, counters: Any
) -> None:
    students, last = [student() for _ in range(8)], course(capacity=1)

    responses = group(*(ask("POST", f"/students/{each}/enroll", {"course_id": last}) for each in students))

    assert sorted(response.status_code for response in responses) == [201] + [409] * 7
    assert counters(last) == (1, 0)


def test_enrolls_by_rules_read_in_one_wave_and_are_applied_in_another(
    backend: str, group: Callable[..., list[Any]], ask: Any, sent: list[Any], student: Make, course: Make,
    open_term: Make, enroll: Any,
) -> None:  # fmt: skip
    term_id = open_term()
    students, ids = [student() for _ in range(4)], [course(term_id=term_id) for _ in range(2)]
    enroll(student(), *ids)  # so that the rules decide first

    responses = group(*(ask(*enrolling(student_id, ids[index % 2])) for index, student_id in enumerate(students)))

    assert [response.status_code for response in responses] == [201] * 4
    writes = [[call.course_id for call in calls] for calls in sent if all(call.compiled.writes for call in calls)]
    assert writes == [[*ids, *ids]]
    assert len(sent) == (2 if backend == "postgresql" else 1)  # reads of SQLite do not wait


def test_the_last_seat_of_a_term_goes_to_one_of_a_group_and_the_others_get_the_reason(
    group: Callable[..., list[Any]], ask: Any, student: Make, course: Make, open_term: Make, counters: Any
) -> None:
    students, last = [student() for _ in range(6)], course(term_id=open_term(), capacity=1)

    responses = group(*(ask("POST", f"/students/{each}/enroll", {"course_id": last}) for each in students))

    assert sorted(response.status_code for response in responses) == [201] + [409] * 5
    refusals = [response.get_json()["decisions"][0]["reasons"] for response in responses if response.status_code == 409]
    assert {reason["code"] for reasons in refusals for reason in reasons} == {"course_full"}
    assert counters(last) == (1, 0)


def test_two_requests_of_one_student_in_a_group_are_judged_one_after_the_other(
    group: Callable[..., list[Any]], ask: Any, student: Make, course: Make, open_term: Make
) -> None:
    """Each would be within the limit of credits; the second is decided again, as the first has changed the student."""
    term_id, student_id = open_term(credit_limit=4), student()
    ids = [course(term_id=term_id, credits=3) for _ in range(2)]

    responses = group(*(ask("POST", f"/students/{student_id}/enroll", {"course_id": each}) for each in ids))

    assert sorted(response.status_code for response in responses) == [201, 409]


def test_an_unknown_student_undoes_no_wave(
    backend: str, group: Callable[..., list[Any]], ask: Any, sent: list[Any], student: Make, course: Make
) -> None:
    known, ids = student(), [course(), course()]

    responses = group(ask(*enrolling(999, ids[0])), ask(*enrolling(known, ids[1])))

    assert [response.status_code for response in responses] == [404, 201]
    explained = [[0]] if backend == "postgresql" else []  # singly; reads of SQLite do not wait
    assert [[call.waves for call in calls] for calls in sent] == [[1, 1], *explained]


def test_an_error_reaches_its_request_only(group: Callable[..., list[Any]], course: Make, sql: Any) -> None:
    first, second, third = course(), course(), course()

    results = group(seats(first, 7), seats(second, -1), seats(third, 9))

    assert isinstance(results[1], IntegrityError)
    assert [row.id for row in results[0]] == [first]
    assert [row.id for row in results[2]] == [third]
    assert [row[0] for row in sql("SELECT capacity FROM courses ORDER BY id")] == [7, None, 9]


def test_a_value_that_the_driver_refuses_fails_its_request_only(
    group: Callable[..., list[Any]], course: Make, sql: Any
) -> None:
    first, second, third = course(), course(), course()

    results = group(seats(first, 7), seats(second, object()), seats(third, 9))

    assert isinstance(results[1], Exception)
    assert [row.id for row in results[0]] == [first]
    assert [row[0] for row in sql("SELECT capacity FROM courses ORDER BY id")] == [7, None, 9]


class Peculiar(SQLAlchemyError):
    """An error whose class takes other arguments than the error has."""

    def __init__(self) -> None:
        super().__init__("the file was replaced")
        self.kind = "peculiar"


def test_each_request_of_a_wave_without_a_connection_gets_an_error_of_its_own(
    group: Callable[..., list[Any]], course: Make, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [course(), course()]

    def fail() -> Any:
        raise Peculiar

    monkeypatch.setattr(engine.pool, "connect", fail)
    results = group(*(seats(course_id, 1) for course_id in ids))

    assert [(type(result), str(result), result.kind) for result in results] == [
        (Peculiar, "the file was replaced", "peculiar")
    ] * 2
    assert results[0] is not results[1]


def test_a_fault_in_the_code_of_waves_leaves_no_request_waiting(
    group: Callable[..., list[Any]], course: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [course(), course()]

    def fail(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(waves, "_split", fail)

    assert [type(result) for result in group(*(seats(course_id, 1) for course_id in ids))] == [ZeroDivisionError] * 2


def test_two_errors_of_one_wave_reach_their_requests(group: Callable[..., list[Any]], course: Make, sql: Any) -> None:
    ids = [course() for _ in range(4)]

    results = group(*(seats(course_id, number) for course_id, number in zip(ids, (-1, 2, -3, 4), strict=True)))

    assert [isinstance(result, IntegrityError) for result in results] == [True, False, True, False]
    assert [row[0] for row in sql("SELECT capacity FROM courses ORDER BY id")] == [None, 2, None, 4]


def test_a_write_is_answered_after_the_commit_of_its_wave(
    group: Callable[..., list[Any]], ask: Any, student: Make, course: Make, database: URL
) -> None:
    """Another connection sees the rows of the whole wave when its first request continues."""
    ada, grace, ids = student(), student(), [course(), course()]
    seen: list[int] = []

    def enroll_and_look(student_id: int, course_id: int) -> None:
        ask(*enrolling(student_id, course_id))()
        with other_session(database) as connection:
            seen.append(connection.scalar(text("SELECT count(*) FROM student_courses")))

    group(functools.partial(enroll_and_look, ada, ids[0]), functools.partial(enroll_and_look, grace, ids[1]))

    assert seen == [2, 2]


def test_a_member_has_a_context_of_its_own(group: Callable[..., list[Any]], ask: Any, student: Make) -> None:
    ids = [student(), student()]
    before = current.get()

    responses = group(*(ask("GET", f"/students/{each}/courses") for each in ids))

    assert len({response.headers["X-Request-ID"] for response in responses}) == 2
    assert current.get() is before


def test_each_request_of_a_group_changes_courses_under_its_own_id_and_caller(
    app: Flask, make_app: Callable[..., Flask], group: Callable[..., list[Any]], student: Make, course: Make, sql: Any
) -> None:
    """The key of each is looked up in a wave, so each has waited for the others when it enrolls."""
    students, ids = [student() for _ in range(3)], [course() for _ in range(3)]
    with app.app_context():
        keys = [create_key(f"school-{index}", ["admin"]) for index in range(3)]
    authenticating = make_app()  # the other one remembers for a second that there was no key

    def enrolling_as(index: int) -> Callable[[], Any]:
        headers = {"Authorization": f"Bearer {keys[index]}", "X-Request-ID": f"request-{index}"}
        method, path, body = enrolling(students[index], ids[index])
        return lambda: authenticating.test_client().open(path, method=method, json=body, headers=headers)

    responses = group(*(enrolling_as(index) for index in range(3)))

    assert [response.headers["X-Request-ID"] for response in responses] == ["request-0", "request-1", "request-2"]
    lines = sql("SELECT student_id, request_id, actor FROM enrollment_events ORDER BY student_id")
    assert [tuple(line) for line in lines] == [
        (student_id, f"request-{index}", f"service:school-{index}") for index, student_id in enumerate(students)
    ]


def test_a_request_whose_time_is_over_begins_no_statement_and_the_others_go_on(
    group: Callable[..., list[Any]], course: Make
) -> None:
    first, second = course(), course()

    def late() -> Sequence[Any]:
        with use(RequestContext(deadline=time.monotonic() + PATIENCE_S)) as context:
            seats(first, 1)()
            context.deadline = time.monotonic()
            return seats(first, 2)()

    def in_time() -> Sequence[Any]:
        with use(RequestContext(deadline=time.monotonic() + PATIENCE_S)):
            seats(second, 1)()
            return seats(second, 2)()

    results = group(late, in_time)

    assert isinstance(results[0], PoolTimeout)
    assert [row.id for row in results[1]] == [second]


def test_a_wave_has_the_earliest_time_limit_and_a_single_statement_that_of_its_request(
    group: Callable[..., list[Any]], course: Make, engine: Engine
) -> None:
    early, later = (time.monotonic() + PATIENCE_S * factor for factor in (1, 2))
    limits: list[float | None] = []

    def writing_until(deadline: float, course_id: int, number: Any) -> Callable[[], Any]:
        def write() -> Sequence[Any]:
            with use(RequestContext(deadline=deadline)):
                return seats(course_id, number)()

        return write

    def note(*_: Any) -> None:
        context = current.get()
        limits.append(context.deadline if context else None)

    calls = writing_until(early, course(), 1), writing_until(later, course(), object())
    with listening(engine, note):
        group(*calls)

    assert limits == [early, early, later]  # the wave, the one that is left, and the one that failed


def test_no_wave_is_sent_within_a_transaction_of_a_member(
    group: Callable[..., list[Any]], sent: list[Any], course: Make
) -> None:
    first, second = course(), course()
    order: list[str] = []

    def in_transaction() -> None:
        with transaction():
            order.append("begin")
            order.append("end")
        seats(first, 1)()
        order.append("after")

    def in_session() -> None:
        with writing() as session:
            order.append("begin")
            session.get_one(Course, second)
            order.append("end")

    group(in_transaction, in_session, seats(second, 5), seats(first, 6))

    assert order == ["begin", "end", "after", "begin", "end"]
    assert [len(calls) for calls in sent] == [2, 1]


def test_a_statement_about_several_courses_is_executed_alone(
    group: Callable[..., list[Any]], ask: Any, sent: list[Any], student: Make, course: Make
) -> None:
    students, ids = [student() for _ in range(3)], [course(), course()]

    responses = group(*(ask(*enrolling(each, *ids)) for each in students[:2]), ask(*enrolling(students[2], ids[0])))

    assert [response.status_code for response in responses] == [201] * 3
    assert [len(calls) for calls in sent] == [1]


def test_a_member_must_not_take_a_connection_where_it_should_wait(
    group: Callable[..., list[Any]], engine: Engine
) -> None:
    result, _ = group(lambda: engine.connect().close(), lambda: None)

    assert isinstance(result, RuntimeError)
    assert "alone" in str(result)


def test_the_pause_before_another_try_lets_other_members_continue(group: Callable[..., list[Any]]) -> None:
    order: list[str] = []

    def late() -> None:
        groups.pause(0.05)
        order.append("late")

    group(late, lambda: order.append("early"))

    assert order == ["early", "late"]


def test_a_member_that_ends_with_any_error_stops_no_other() -> None:
    done: list[str] = []

    def leave() -> None:
        raise SystemExit

    hub.run([leave, functools.partial(done.append, "one"), functools.partial(done.append, "two")])

    assert done == ["one", "two"]


def test_a_single_request_needs_no_group() -> None:
    running: list[Any] = []

    hub.run([lambda: running.append(groups.member())])

    assert running == [None]


def test_the_size_and_time_of_a_wave_are_reported(app: Flask, course: Make) -> None:
    reported: list[tuple[int, float]] = []
    ids = [course(), course()]

    def write(course_id: int) -> None:
        with app.app_context():
            seats(course_id, 1)()

    hub.run(
        [functools.partial(write, course_id) for course_id in ids],
        lambda statements, seconds: reported.append((statements, seconds)),
    )

    ((statements, seconds),) = reported
    assert statements == 2
    assert seconds > 0


def test_no_lock_is_held_where_a_member_waits(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, student: Make, course: Make
) -> None:
    """Another member of the thread would wait for it forever."""
    held: list[int] = []
    waits: list[list[Any]] = []
    make_lock = threading.Lock

    class Lock:
        def __init__(self) -> None:
            self._lock = make_lock()

        def acquire(self, *args: Any, **kwargs: Any) -> bool:
            taken = self._lock.acquire(*args, **kwargs)
            if taken:
                held.append(threading.get_ident())
            return taken

        def release(self) -> None:
            held.remove(threading.get_ident())
            self._lock.release()

        def locked(self) -> bool:
            return self._lock.locked()

        def __enter__(self) -> bool:
            return self.acquire()

        def __exit__(self, *_: object) -> None:
            self.release()

    hand_over = groups._hand_over  # noqa: SLF001 - where members wait

    def watched(running: groups.Member, wish: Any) -> None:
        waits.append([thread for thread in held if thread == threading.get_ident()])
        hand_over(running, wish)

    ada, programming = student(), course(capacity=0)
    monkeypatch.setattr(threading, "Lock", Lock)
    monkeypatch.setattr(groups, "_hand_over", watched)
    client = make_app().test_client()
    requests = [
        lambda: client.get(f"/students/{ada}/courses", headers={"Authorization": "Bearer cmk_x"}),
        lambda: client.get(f"/students/{ada}/courses"),
        lambda: client.post(f"/students/{ada}/enroll", json={"course_id": programming}),
        lambda: client.post("/students", json={"name": "Grace", "email": "grace@example.edu"}),
        lambda: client.get("/courses"),
        lambda: client.delete(f"/students/{ada}/unenroll?course_id={programming}"),
    ]

    hub.run(requests)

    assert len(waits) >= 3  # reads of SQLite do not wait
    assert [threads for threads in waits if threads] == []


# --- SQLite ---------------------------------------------------------------------------------------------------


@pytest.fixture
def sqlite(backend: str) -> None:
    if backend != "sqlite":
        pytest.skip("PostgreSQL locks rows, not the file")


@pytest.fixture
def writer(database: URL) -> Iterator[sqlite3.Connection]:
    """Open a transaction of another process that writes."""
    with closing(sqlite3.connect(str(database.database), isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        yield writer


@pytest.mark.usefixtures("sqlite")
def test_a_wave_begins_when_another_writer_has_ended(
    group: Callable[..., list[Any]], course: Make, request: pytest.FixtureRequest, engine: Engine
) -> None:
    ids = [course(), course()]
    with engine.connect() as connection:
        before = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
    writer = request.getfixturevalue("writer")
    timer = threading.Timer(0.2, writer.execute, ["ROLLBACK"])
    timer.start()

    results = group(*(seats(course_id, 1) for course_id in ids))

    timer.join()
    assert [[row.id for row in rows] for rows in results] == [[course_id] for course_id in ids]
    with engine.connect() as connection:  # for single statements, SQLite waits again
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == before


@pytest.mark.usefixtures("sqlite")
def test_each_request_of_a_wave_is_refused_when_another_writer_does_not_end(
    make_app: Callable[..., Flask], course: Make, request: pytest.FixtureRequest
) -> None:
    ids, kinds = [course(), course()], list[str]()
    app = make_app(database_lock_timeout_ms=10, database_deadline_ms=2000)
    request.getfixturevalue("writer")

    def write(course_id: int) -> None:
        with app.app_context(), pytest.raises(OperationalError) as error:
            seats(course_id, 1)()
        kinds.append(kind_of(error.value))

    hub.run([functools.partial(write, course_id) for course_id in ids])

    assert kinds == ["SQLITE_BUSY", "SQLITE_BUSY"]


# --- PostgreSQL -----------------------------------------------------------------------------------------------


@pytest.fixture
def postgresql(backend: str) -> None:
    if backend != "postgresql":
        pytest.skip("SQLite has one writer, and no connection that could be lost")


@pytest.mark.usefixtures("postgresql")
def test_writes_are_sent_in_ascending_order_of_their_courses(
    group: Callable[..., list[Any]], course: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two waves that locked the same courses in different orders would wait for each other."""
    first, second, third = course(), course(), course()
    order: list[int] = []
    send = pipeline.Prepared.send

    def watched(prepared: pipeline.Prepared, pgconn: Any) -> None:
        order.append(prepared.course_id)
        send(prepared, pgconn)

    monkeypatch.setattr(pipeline.Prepared, "send", watched)

    group(seats(third, 3), seats(first, 1), seats(second, 2))

    assert order == [first, second, third]


@pytest.mark.usefixtures("postgresql")
def test_a_wave_may_be_larger_than_the_buffers_of_the_socket(group: Callable[..., list[Any]], sent: list[Any]) -> None:
    length = travels(select(func.length(bindparam("letters", type_=String)).label("length")))
    letters = [str(digit) * 4_000_000 for digit in range(4)]

    results = group(*(functools.partial(autocommit, length, {"letters": each}) for each in letters))

    assert [[row.length for row in rows] for rows in results] == [[4_000_000]] * 4
    assert [[call.waves for call in calls] for calls in sent] == [[1] * 4]


@pytest.mark.usefixtures("postgresql")
def test_a_course_that_another_session_locks_holds_up_its_own_requests_only(
    group: Callable[..., list[Any]], course: Make, database: URL
) -> None:
    locked, free = course(), course()
    order: list[str] = []

    def set_and_note(course_id: int, name: str) -> None:
        seats(course_id, 1)()
        order.append(name)
        if name == "free":
            connection.rollback()

    with other_session(database) as connection:
        connection.execute(text("SELECT id FROM courses WHERE id = :id FOR UPDATE"), {"id": locked})
        group(
            functools.partial(set_and_note, locked, "locked"),
            functools.partial(set_and_note, free, "free"),
            functools.partial(set_and_note, free, "free"),
        )

    assert order == ["free", "free", "locked"]


@pytest.mark.usefixtures("postgresql")
@pytest.mark.parametrize("at", [1, 2, 3])
def test_each_request_of_a_wave_survives_a_lost_connection(
    group: Callable[..., list[Any]],
    ask: Any,
    student: Make,
    course: Make,
    held: Any,
    monkeypatch: pytest.MonkeyPatch,
    database: URL,
    at: int,
) -> None:
    """The connection is lost when the first, second or third statement is sent; then each request tries again."""
    students, ids = [student() for _ in range(3)], [course(), course()]
    send, count = pipeline.Prepared.send, 0

    def lose(prepared: pipeline.Prepared, pgconn: Any) -> None:
        nonlocal count
        count += 1
        if count == at:
            with psycopg.connect(group_url, autocommit=True) as killer:
                killer.execute("SELECT pg_terminate_backend(%s)", [pgconn.backend_pid])
        send(prepared, pgconn)

    group_url = database.set(drivername="postgresql").render_as_string(hide_password=False)
    monkeypatch.setattr(pipeline.Prepared, "send", lose)

    responses = group(
        ask("GET", f"/students/{students[0]}/courses"),
        ask(*enrolling(students[1], ids[0])),
        ask(*enrolling(students[2], ids[1])),
    )

    assert [response.status_code for response in responses] == [200, 201, 201]
    assert [held(each) for each in students] == [{}, {ids[0]: "enrolled"}, {ids[1]: "enrolled"}]


@pytest.mark.usefixtures("postgresql")
def test_a_committed_write_is_not_executed_again_if_its_rows_cannot_be_read(
    group: Callable[..., list[Any]], course: Make, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = course(), course()
    rows, read = pipeline.Prepared.rows, list[int]()

    def refuse(prepared: pipeline.Prepared, result: Any) -> list[Any]:
        read.append(prepared.course_id)
        if prepared.course_id == first:
            raise ValueError
        return rows(prepared, result)

    monkeypatch.setattr(pipeline.Prepared, "rows", refuse)

    results = group(seats(first, 7), seats(second, 9))

    assert isinstance(results[0], ValueError)
    assert [row.id for row in results[1]] == [second]
    assert read == [first, second]
    assert [row[0] for row in sql("SELECT capacity FROM courses ORDER BY id")] == [7, 9]


@pytest.mark.usefixtures("postgresql")
def test_a_connection_with_results_of_a_failed_wave_is_not_used_again(
    group: Callable[..., list[Any]], course: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, of_statement = [course(), course()], pipeline.PipelineResults.of_statement

    def fail(_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(pipeline.PipelineResults, "of_statement", fail)
    failed = group(*(seats(course_id, 1) for course_id in ids))
    monkeypatch.setattr(pipeline.PipelineResults, "of_statement", of_statement)

    assert [type(result) for result in failed] == [MemoryError, MemoryError]
    assert [len(result) for result in group(*(seats(course_id, 1) for course_id in ids))] == [1, 1]
