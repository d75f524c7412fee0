"""Waves: send statements of several requests to the database together.

Each statement is a transaction of its own for its request. In a wave, all writes are one transaction, and each of them
is answered after its commit. On PostgreSQL, a wave is the reads, a Sync, the writes in ascending order of their
courses, and a Sync. On SQLite, it is one transaction of writes; reads wait for nothing there.

A statement that fails does not fail the others: it is executed again singly, so that its request gets the error that
it would get without a group. The others are sent as a wave again, `MAX_WAVES` times at most, then singly. When the
connection is lost, each request gets that error, as it would without a group.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TypeAlias

import psycopg
import structlog
from psycopg.errors import LockNotAvailable
from psycopg.pq import ExecStatus, PipelineStatus
from psycopg.pq.abc import PGconn, PGresult
from sqlalchemy import PoolProxiedConnection
from sqlalchemy.exc import SQLAlchemyError

from ..context import RequestContext, use
from .compile import AnyRow
from .execute import execute_once, send, successful, translated
from .failures import kind_of
from .groups import Call
from .pipeline import PipelineResults, Prepared
from .sqlite import TimedConnection
from .write_breaker import Guard

SMALLEST = 2
"""Minimum number of statements in a wave; a single one is executed as without a group."""
MAX_WAVES = 3
BUSY_S = 1.0
"""How long statements about a course are executed singly after one of them has waited for a lock for too long."""
LOCK_TIMEOUT = b"SELECT set_config('lock_timeout', '50', true)"
"""Begins the writes: a lock that is held for more than 50 ms must not make the whole wave wait."""

log = structlog.get_logger(__name__)
_busy_until: dict[int, float] = {}
"""By course, on the clock of `time.monotonic`."""


OnWave: TypeAlias = Callable[[int, float], object]
"""Called after each wave with the number of its statements, and the seconds until its last result."""


def execute_singly(call: Call) -> None:
    """Execute a statement as a request without a group does."""
    with use(call.context()):
        try:
            call.rows = list(execute_once(call.engine, call.compiled, call.values))
        except BaseException as error:  # noqa: BLE001 - its request raises it
            call.error = error


def send_all(calls: list[Call], on_wave: OnWave) -> Iterator[Call]:
    """Execute statements of one database, and yield each when it is done: reads while writes are being committed.

    One that is not done when it is yielded must be executed singly (`execute_singly`).
    """
    while calls:
        together, singly = _split(calls)
        yield from singly
        calls = []
        if len(together) < SMALLEST:
            for call in together:
                execute_singly(call)
            yield from together
        else:
            wave = _Wave(together)
            yield from wave.send()
            on_wave(len(together), wave.seconds)
            log.debug(
                "database.wave",
                statements=len(together),
                writes=wave.writes,
                errors=wave.errors,
                duration_ms=round(wave.seconds * 1000, 2),
            )
            for call in together:
                if not call.is_done:
                    if call in wave.failed or call.waves >= MAX_WAVES:
                        yield call
                    else:
                        calls.append(call)


def _split(calls: list[Call]) -> tuple[list[Call], list[Call]]:
    """Return the statements that are sent together, and those that are executed singly."""
    if _busy_until:
        now = time.monotonic()
        for course_id in [course_id for course_id, until in list(_busy_until.items()) if until <= now]:
            _busy_until.pop(course_id, None)
    together = [call for call in calls if call.course_id not in _busy_until]
    return together, [call for call in calls if call not in together]


class _Wave:
    """Statements that are sent together once. Those that have no result afterwards have not been executed."""

    def __init__(self, calls: list[Call]) -> None:
        self._calls, self._engine = calls, calls[0].engine
        self._reads = [call for call in calls if not call.compiled.writes]
        self._writes = sorted((call for call in calls if call.compiled.writes), key=lambda call: call.course_id)
        self.failed: set[Call] = set()
        """The statements that are to blame if others were not executed."""
        self.errors: list[str] = []
        """The kinds of their errors (`kind_of`)."""
        self.writes = len(self._writes)
        self.seconds = 0.0
        """Until its last result, or its commit on SQLite."""
        self._started = time.perf_counter()
        for call in calls:
            call.waves += 1

    def send(self) -> Iterator[Call]:
        """Send the statements, and yield those that are done."""
        deadline = min((call.deadline for call in self._calls if call.deadline is not None), default=None)
        connection: PoolProxiedConnection | None = None
        failure: BaseException | None = None
        try:
            with use(RequestContext(deadline=deadline)):  # the watchdog cuts off the wave at the earliest deadline
                connection = self._engine.raw_connection()
            refusal = self._admit_writes(connection)
            if isinstance(connection.driver_connection, psycopg.Connection):
                yield from self._send_pipeline(connection, connection.driver_connection.pgconn)
            elif self._writes:
                yield from self._send_one_by_one(connection)
            failure = refusal
        except self._engine.dialect.loaded_dbapi.Error as error:
            failure = translated(error, self._engine, connection, self._calls[0].compiled.text)
        except Exception as error:  # noqa: BLE001 - each request raises it; otherwise none would get a response
            failure = error
        finally:
            if connection is not None:
                _give_back(connection)
        if failure:
            yield from _fail([call for call in self._calls if call not in self.failed], failure)

    def _admit_writes(self, connection: PoolProxiedConnection) -> SQLAlchemyError | None:
        """Announce the writes. If they cannot be executed now, return the error; the reads still can."""
        guard: Guard | None = connection.info.get("guard")
        if self._writes and guard:
            try:
                guard.begin_to_write()
            except SQLAlchemyError as error:
                self._writes = []
                return error
        return None

    def _send_one_by_one(self, connection: PoolProxiedConnection) -> Iterator[Call]:
        """Send the writes to SQLite; reads wait for no wave there (`Compiled.at_once`)."""
        driver: TimedConnection = connection.driver_connection  # type: ignore[assignment]
        driver.begin_wave()
        try:
            results = self._write(connection)
            if not self.failed:
                driver.execute("COMMIT")
        finally:
            if driver.in_transaction:
                driver.execute("ROLLBACK")
            self._note_time()
        if self.failed:
            return
        for call, result in results.items():
            if isinstance(result, sqlite3.IntegrityError):
                call.error = translated(result, self._engine, connection, call.compiled.text)
            else:
                call.rows = result
        _give_back(connection)  # the requests may read at once
        yield from results

    def _write(self, connection: PoolProxiedConnection) -> dict[Call, list[AnyRow] | sqlite3.IntegrityError]:
        """Execute the writes in a transaction of SQLite, and return what each has resulted in."""
        results: dict[Call, list[AnyRow] | sqlite3.IntegrityError] = {}
        for call in self._writes:
            try:
                with use(call.context()):
                    results[call] = list(send(connection, call.compiled, call.values))
            except sqlite3.IntegrityError as error:  # it has undone this statement only
                results[call] = error
            except Exception as error:  # noqa: BLE001 - its request gets it when it is executed singly
                self._blame(call, error)
                break
        return results

    def _send_pipeline(self, connection: PoolProxiedConnection, pgconn: PGconn) -> Iterator[Call]:
        """Send the statements to PostgreSQL."""
        prepared: dict[Call, Prepared] = {}
        for call in self._reads + self._writes:
            try:
                prepared[call] = Prepared(connection, call)
            except Exception as error:  # noqa: BLE001 - also a value that cannot be converted
                self._blame(call, error)
                return
        pgconn.enter_pipeline_mode()
        try:
            if self._reads:
                for call in self._reads:
                    prepared[call].send(pgconn)
                pgconn.pipeline_sync()
            if self._writes:
                pgconn.send_query_params(LOCK_TIMEOUT, None)
                for call in self._writes:
                    prepared[call].send(pgconn)
                pgconn.pipeline_sync()
            results = PipelineResults(pgconn)
            results.send_rest()
            if self._reads:
                yield from self._take(results, self._reads, prepared)
            if self._writes:
                results.of_statement()  # of LOCK_TIMEOUT
                yield from self._take(results, self._writes, prepared)
                if guard := connection.info.get("guard"):
                    guard.has_written = any(call.rows for call in self._writes)
        finally:
            with suppress(psycopg.Error):  # not all results have been taken, see `_give_back`
                pgconn.exit_pipeline_mode()

    def _take(self, results: PipelineResults, calls: list[Call], prepared: Mapping[Call, Prepared]) -> Iterator[Call]:
        """Take the results up to the next Sync: either those of all of these statements, or none."""
        successes: dict[Call, PGresult] = {}
        for call in calls:
            result = results.of_statement()
            if result.status == ExecStatus.PIPELINE_ABORTED:
                continue
            try:
                successes[call] = successful(result)
            except psycopg.Error as error:
                self._blame(call, error)
        results.sync()
        self._note_time()
        if calls is self._writes and self.failed.intersection(calls):
            return
        for call, result in successes.items():
            try:
                call.rows = prepared[call].rows(result)
            except Exception as error:  # noqa: BLE001 - a write is committed, so it must not be executed again
                call.error = error
            yield call

    def _note_time(self) -> None:
        self.seconds = time.perf_counter() - self._started

    def _blame(self, call: Call, error: Exception) -> None:
        """Note the statement to blame for an error; raise the error if the connection is lost."""
        if isinstance(error, psycopg.OperationalError) and not error.sqlstate:
            raise error
        self.failed.add(call)
        self.errors.append(kind_of(error))
        if isinstance(error, LockNotAvailable) and call.compiled.writes:
            _busy_until[call.course_id] = time.monotonic() + BUSY_S


def _give_back(connection: PoolProxiedConnection) -> None:
    """Return a connection to the pool, unless it still has results of the wave."""
    driver = connection.driver_connection
    if isinstance(driver, psycopg.Connection) and driver.pgconn.pipeline_status != PipelineStatus.OFF:
        connection.invalidate()
    connection.close()


def _fail(calls: list[Call], error: BaseException) -> Iterator[Call]:
    """Give an error to those that are not done; each request raises one of its own."""
    for call in calls:
        if not call.is_done:
            call.error = _copy(error)
            yield call


def _copy(error: BaseException) -> BaseException:
    """Copy an error. Unlike `copy.copy`, this does not call its class, which may take other arguments."""
    copy = type(error).__new__(type(error), *error.args)
    copy.__dict__.update(error.__dict__)
    copy.__cause__ = error.__cause__
    return copy
