"""The worker does jobs while it holds the lease, one step of each in turn, and no error ends its thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import URL
from sqlalchemy.exc import OperationalError

from course_management import background, metrics
from course_management.background import worker as module
from course_management.background.jobs import Job
from course_management.background.worker import Worker
from course_management.config import Settings
from course_management.database import db, schema_state

from ..support.databases import PATIENCE_S
from ..support.real_server import until

Events = list[dict[str, Any]]


class Told:
    """A lease that is held or not, as the test says."""

    def __init__(self, *, held: bool = True) -> None:
        self.held, self.tries, self.released = held, 0, False

    def acquire(self) -> bool:
        self.tries += 1
        return self.held

    def release(self) -> None:
        self.released = True


@pytest.fixture
def settings(database: URL) -> Settings:
    return Settings.load({"DATABASE_URL": database.render_as_string(hide_password=False)}, {})


@pytest.fixture
def nowhere(tmp_path: Path) -> Settings:
    """Return the settings of a worker that never reaches its database: the test provides its lease and jobs."""
    return Settings.load({"DATABASE_URL": f"sqlite:///{tmp_path / 'nothing.db'}"}, {})


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Events:
    """Return what the background work logs."""
    found: Events = []

    class Log:
        def __getattr__(self, level: str) -> Callable[..., None]:
            return lambda event, **members: found.append({"event": event, "level": level, **members})

    monkeypatch.setattr(module, "log", Log())
    monkeypatch.setattr(background.jobs, "log", Log())
    return found


@pytest.fixture
def start(nowhere: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Worker]]:
    """Starts workers whose pauses are short; they are stopped at the end."""
    for name in ("IDLE_S", "TRY_S", "FIRST_PAUSE_S", "LONGEST_PAUSE_S", "LONGEST_REST_S"):
        monkeypatch.setattr(module, name, 0.01)
    started: list[Worker] = []

    def make(*jobs: Job, lease: Any = None, settings: Settings = nowhere) -> Worker:
        worker = Worker(settings, jobs or None, lease)
        worker.start()
        started.append(worker)
        return worker

    yield make
    for worker in started:
        worker.stop()
        assert worker.join(PATIENCE_S)


@pytest.fixture
def gauges(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], float]]:
    """Return the gauges that a worker reports."""
    watched: dict[str, Callable[[], float]] = {}
    monkeypatch.setattr(metrics, "watch", watched.__setitem__)
    return watched


def named(events: Events) -> list[str]:
    return [each["event"] for each in events]


def endless(done: list[str], name: str) -> Callable[[], Iterator[None]]:
    """Return a job that has always more to do."""

    def steps() -> Iterator[None]:
        while True:
            done.append(name)
            yield

    return steps


def test_jobs_with_much_work_alternate(start: Any) -> None:
    done: list[str] = []

    start(Job("a", endless(done, "a"), 0.0), Job("b", endless(done, "b"), 0.0), lease=Told())

    until(lambda: len(done) > 20, "twenty steps")
    assert done[:10] == ["a", "b"] * 5


def test_a_worker_does_jobs_only_while_it_holds_the_lease(
    start: Any, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_S", 0.0)
    done: list[str] = []
    lease = Told(held=False)
    start(Job("a", endless(done, "a"), 0.0), lease=lease)
    until(lambda: lease.tries > 3, "a few tries")
    assert done == []

    lease.held = True
    until(lambda: len(done) > 3, "work")
    lease.held = False
    until(lambda: "background.leader_lost" in named(events), "its end")
    before, tries = len(done), lease.tries
    until(lambda: lease.tries > tries + 3, "a few tries")

    assert len(done) == before
    assert named(events) == ["background.leader", "background.leader_lost"]


def test_a_leader_that_was_frozen_renews_its_lease_before_its_next_step(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after SIGSTOP and SIGCONT: time has passed, and another process leads."""
    lease, order = Told(), list[str]()
    frozen_s = 0.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + frozen_s))

    def steps() -> Iterator[None]:
        nonlocal frozen_s
        while True:
            order.append("step")
            if len(order) == 5:
                frozen_s, lease.held = 3600.0, False
            yield

    start(Job("a", steps, 0.0), lease=lease)

    until(lambda: lease.tries > 3, "a few tries")
    assert order == ["step"] * 5


def test_a_job_that_fails_is_logged_and_neither_ends_the_thread_nor_stops_the_others(
    start: Any, events: Events
) -> None:
    done: list[str] = []

    def broken() -> Iterator[None]:
        yield
        raise ValueError("ada@example.edu")

    start(Job("broken", broken, 0.01), Job("b", endless(done, "b"), 0.0), lease=Told())

    until(lambda: named(events).count("background.job_failed") > 1, "a second failure")
    until(lambda: len(done) > 20, "the work of the other")
    failed = next(each for each in events if each["event"] == "background.job_failed")
    assert (failed["job"], failed["error"], failed["level"]) == ("broken", "ValueError", "error")
    assert "ada@example.edu" not in repr(failed)


def test_a_job_that_keeps_failing_is_tried_less_and_less_often(start: Any, events: Events) -> None:
    tries: list[float] = []

    def broken() -> Iterator[None]:
        tries.append(time.monotonic())
        raise ValueError
        yield

    start(Job("broken", broken, 0.02), lease=Told())

    until(lambda: len(tries) > 4, "a fifth try")
    assert tries[4] - tries[3] > 0.02 * 2**3
    assert set(named(events)) == {"background.leader", "background.job_failed"}


def test_an_outage_is_logged_once_and_the_work_goes_on_after_it(start: Any, events: Events) -> None:
    down, tries, done = threading.Event(), list[str](), list[str]()
    down.set()

    def steps() -> Iterator[None]:
        tries.append("")
        if down.is_set():
            raise OperationalError("SELECT secret", None, Exception("secret"))
        done.append("")
        yield

    start(Job("a", steps, 0.0), lease=Told())
    until(lambda: len(tries) > 5, "a few tries")
    down.clear()
    until(lambda: len(done) > 5, "work")

    assert named(events) == ["background.leader", "background.unavailable", "background.recovered"]
    assert "secret" not in repr(events)


def test_a_process_that_does_not_lead_logs_each_outage_and_its_end(start: Any, events: Events) -> None:
    lease = Told(held=False)
    acquire, unavailable = lease.acquire, lambda: (_ for _ in ()).throw(PermissionError())
    outage = ["background.unavailable", "background.recovered"]
    lease.acquire = unavailable  # type: ignore[method-assign]
    start(Job("a", endless([], "a"), 0.0), lease=lease)
    for count in (1, 2):
        until(lambda count=count: named(events) == [*outage * (count - 1), outage[0]], "the outage")  # type: ignore[misc]
        lease.acquire = acquire  # type: ignore[method-assign]
        until(lambda count=count: named(events) == outage * count, "its end")  # type: ignore[misc]
        lease.acquire = unavailable  # type: ignore[method-assign]


def test_a_lease_that_cannot_be_renewed_is_an_outage(start: Any, events: Events) -> None:
    lease, done = Told(), list[str]()
    acquire, lease.acquire = lease.acquire, lambda: (_ for _ in ()).throw(PermissionError())  # type: ignore[method-assign]
    start(Job("a", endless(done, "a"), 0.0), lease=lease)
    until(lambda: named(events) == ["background.unavailable"], "a line")
    assert done == []

    lease.acquire = acquire  # type: ignore[method-assign]

    until(lambda: done, "work")
    assert named(events) == ["background.unavailable", "background.leader", "background.recovered"]


def test_a_leader_that_cannot_renew_its_lease_reports_no_leader_and_no_database(
    start: Any, gauges: dict[str, Callable[[], float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_S", 0.0)
    lease, done = Told(), list[str]()
    acquire = lease.acquire
    start(Job("a", endless(done, "a"), 0.0), lease=lease)
    until(lambda: done, "work")
    assert (gauges["background_leader"](), gauges["database_unavailable"]()) == (True, False)

    lease.acquire = lambda: (_ for _ in ()).throw(PermissionError())  # type: ignore[method-assign]
    until(lambda: not gauges["background_leader"](), "a leader that is none")
    assert gauges["database_unavailable"]()

    lease.acquire = acquire  # type: ignore[method-assign]
    until(gauges["background_leader"], "a leader again")
    assert not gauges["database_unavailable"]()


def test_a_process_that_waits_for_the_lease_reports_an_unavailable_database(
    start: Any, gauges: dict[str, Callable[[], float]]
) -> None:
    lease = Told(held=False)
    lease.acquire = lambda: (_ for _ in ()).throw(PermissionError())  # type: ignore[method-assign]
    start(Job("a", endless([], "a"), 0.0), lease=lease)

    until(gauges["database_unavailable"], "the outage")
    assert not gauges["background_leader"]()


def test_stopping_waits_for_the_current_step_only_and_releases_the_lease(start: Any, events: Events) -> None:
    entered, go_on, done = threading.Event(), threading.Event(), list[str]()

    def steps() -> Iterator[None]:
        while True:
            entered.set()
            go_on.wait(PATIENCE_S)
            done.append("")
            yield

    lease = Told()
    worker = start(Job("slow", steps, 0.0), lease=lease)
    assert entered.wait(PATIENCE_S)

    worker.stop()
    assert not worker.join(0.05)
    go_on.set()

    assert worker.join(PATIENCE_S)
    assert len(done) == 1
    assert lease.released
    assert named(events)[-1] == "background.stopped"


def test_the_next_worker_takes_over_after_the_leader_ends(start: Any, settings: Settings, events: Events) -> None:
    """With the real leases: the second one takes over when the first one is stopped."""
    first, second = list[str](), list[str]()
    leader = start(Job("a", endless(first, "a"), 0.0), settings=settings)
    until(lambda: first, "work")
    start(Job("a", endless(second, "a"), 0.0), settings=settings)
    until(lambda: len(first) > 20, "more work")
    assert second == []

    leader.stop()

    until(lambda: second and len(named(events)) == 3, "work of the second")
    # The first one writes its line after it has given up the lease: the second may be faster.
    assert sorted(named(events)) == ["background.leader", "background.leader", "background.stopped"]


def test_the_worker_has_one_connection_of_its_own(start: Any, settings: Settings, app: Any) -> None:
    engines: list[Any] = []

    def steps() -> Iterator[None]:
        assert schema_state()
        engines.append(db.engine)
        yield

    start(Job("a", steps, 0.0), settings=settings)

    until(lambda: engines, "work")
    with app.app_context():
        assert db.engine is not engines[0]
    assert engines[0].pool.size() == 1
    assert engines[0].pool.overflow() <= 0


def test_the_worker_waits_until_the_database_is_migrated(
    databases: Any, start: Any, events: Events, backend: str
) -> None:
    empty = databases.empty()
    settings = Settings.load({"DATABASE_URL": empty.render_as_string(hide_password=False)}, {})

    start(settings=settings)

    until(lambda: "background.unavailable" in named(events), "a line")
    (line,) = (each for each in events if each["event"] == "background.unavailable")
    assert "course-management migrate" in line["reason"]
    assert ("background.leader" in named(events)) is (backend == "sqlite")


def test_background_off_starts_nothing(settings: Settings, database: URL) -> None:
    off = Settings.load({"DATABASE_URL": database.render_as_string(hide_password=False), "BACKGROUND": "off"}, {})
    running = background.start(settings)
    assert running is not None
    running.stop()
    assert running.join(PATIENCE_S)

    assert background.start(off) is None


def test_an_app_alone_does_no_background_work(make_app: Any) -> None:
    make_app()

    assert "background" not in {each.name for each in threading.enumerate()}
