"""The lease has one holder at a time, expires by the database's clock, and ends with its holder."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import URL, text, true

from course_management.background import lease
from course_management.background.lease import FileLease, RowLease, lease_of
from course_management.database import db
from course_management.models import leases

from ..support.fixture_types import Sql
from ..support.waits import PATIENT, wait_until_blocked

MakeLease = Callable[[], RowLease | FileLease]
TOGETHER = 8


@pytest.fixture
def make_lease(app: Flask, database: URL) -> Any:
    """Makes leases, as processes would that work on the same database."""
    with app.app_context():
        yield lambda: lease_of(database)


@pytest.fixture
def only_postgresql(backend: str) -> None:
    if backend == "sqlite":
        pytest.skip("SQLite's lease is a lock on a file")


def test_a_held_lease_cannot_be_taken_by_another_process(make_lease: MakeLease) -> None:
    first, second = make_lease(), make_lease()

    assert first.acquire()
    assert not second.acquire()
    assert first.acquire()
    assert not second.acquire()


def test_a_released_lease_can_be_taken_at_once(make_lease: MakeLease) -> None:
    first, second = make_lease(), make_lease()
    assert first.acquire()

    first.release()

    assert second.acquire()
    assert not first.acquire()


def test_releasing_the_lease_of_another_process_changes_nothing(make_lease: MakeLease) -> None:
    first, second, third = make_lease(), make_lease(), make_lease()
    assert first.acquire()

    second.release()

    assert not third.acquire()


@pytest.mark.usefixtures("only_postgresql")
def test_an_expired_lease_can_be_taken_and_its_holder_cannot_renew_it(make_lease: MakeLease, sql: Sql) -> None:
    frozen, other = make_lease(), make_lease()
    assert frozen.acquire()
    sql("UPDATE leases SET expires_at = now() - interval '1 ms'")

    assert other.acquire()
    assert not frozen.acquire()
    frozen.release()
    assert other.acquire()


@pytest.mark.usefixtures("only_postgresql")
def test_an_expired_lease_that_is_still_free_can_be_renewed(make_lease: MakeLease, sql: Sql) -> None:
    slow = make_lease()
    assert slow.acquire()
    sql("UPDATE leases SET expires_at = now() - interval '1 ms'")

    assert slow.acquire()
    assert sql("SELECT expires_at > now() FROM leases") == [(True,)]


@pytest.mark.usefixtures("only_postgresql")
def test_a_lease_expires_by_the_clock_of_the_database(
    make_lease: MakeLease, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("course_management.database.types.utcnow", None)  # the machine's clock is not used

    assert make_lease().acquire()

    assert sql(
        "SELECT expires_at > now(), expires_at <= now() + make_interval(secs => :longest) FROM leases",
        longest=lease.LEASE_S,
    ) == [(True, True)]


@pytest.mark.usefixtures("only_postgresql")
def test_trying_to_take_a_held_lease_writes_nothing(make_lease: MakeLease, sql: Sql) -> None:
    first, second = make_lease(), make_lease()
    first.acquire()
    before = sql("SELECT xmin, xmax, ctid FROM leases")

    assert not second.acquire()

    assert sql("SELECT xmin, xmax, ctid FROM leases") == before


@pytest.mark.usefixtures("only_postgresql")
@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("before", ["no process had it", "it has expired"])
def test_when_many_try_at_the_same_time_exactly_one_gets_the_lease(
    make_app: Callable[..., Flask],
    database: URL,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
    *,
    guarded: bool,
    before: str,
) -> None:
    """The control is the same statement without its condition: then all of them believe that they hold it."""
    if not guarded:
        taken = lease._new.on_conflict_do_update(  # noqa: SLF001
            index_elements=["name"],
            set_={"holder": lease._new.excluded.holder},  # noqa: SLF001
            where=true(),
        ).returning(leases.c.holder)
        monkeypatch.setattr(lease, "_TAKE", taken)
    if before == "it has expired":
        sql("INSERT INTO leases VALUES ('background', 'dead', now() - interval '1 s')")
    app = make_app(threads=TOGETHER + 2, **PATIENT)
    with app.app_context():
        engine = db.engine

    def take() -> bool:
        with app.app_context():
            return lease_of(database).acquire()

    with ThreadPoolExecutor(TOGETHER) as pool, engine.connect() as rival:
        # Each of them has begun, and found the lease free, before the first can have it.
        rival.execute(
            text(
                "INSERT INTO leases VALUES ('background', 'rival', now() - interval '1 s')"
                " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder"
            )
        )
        attempts = [pool.submit(take) for _ in range(TOGETHER)]
        wait_until_blocked(engine, TOGETHER)
        rival.rollback()
        winners = sum(each.result() for each in attempts)

    assert winners == (1 if guarded else TOGETHER)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "school.db-leader"


def test_a_file_lock_is_released_when_its_process_ends(path: Path) -> None:
    mine = FileLease(path)
    holder = f"""
from course_management.background.lease import FileLease
print(FileLease({str(path)!r}).acquire(), flush=True)
input()
"""
    with subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert not mine.acquire()
        other.kill()

    assert mine.acquire()


def test_the_lock_file_is_empty_and_readable_by_its_owner_only(path: Path) -> None:
    assert FileLease(path).acquire()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size == 0


def test_a_lock_file_that_cannot_be_created_is_an_error_and_leaks_no_descriptor(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        FileLease(tmp_path / "gone" / "school.db-leader").acquire()


def test_a_refused_lock_leaks_no_descriptor(path: Path) -> None:
    holder, other = FileLease(path), FileLease(path)
    assert holder.acquire()
    before = len([*Path("/proc/self/fd").iterdir()])

    for _ in range(5):
        assert not other.acquire()

    assert len([*Path("/proc/self/fd").iterdir()]) == before
