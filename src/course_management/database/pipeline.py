"""The pipeline mode of libpq: statements that are sent without waiting for each other's results."""

from __future__ import annotations

import select

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult
from sqlalchemy import PoolProxiedConnection

from .compile import AnyRow
from .execute import prepare
from .groups import Call


class Prepared:
    """A statement that is ready to be sent in a pipeline."""

    def __init__(self, connection: PoolProxiedConnection, call: Call) -> None:
        self.course_id = call.course_id
        self._name = prepare(connection, call.compiled.text)
        self._make_row = call.compiled.make_row
        self._transformer = Transformer(connection.driver_connection)
        self._arguments = self._transformer.dump_sequence(call.values, [PyFormat.TEXT] * len(call.values))

    def send(self, pgconn: PGconn) -> None:
        """Send it, without waiting for its result."""
        pgconn.send_query_prepared(self._name, self._arguments)

    def rows(self, result: PGresult) -> list[AnyRow]:
        """Return the rows of its result."""
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, self._make_row)


class PipelineResults:
    """The results of a pipeline, in their order. Raises an error of psycopg if the connection is lost."""

    def __init__(self, pgconn: PGconn) -> None:
        self._pgconn = pgconn
        self._poll = select.poll()

    def send_rest(self) -> None:
        """Send what the socket has not taken yet, and take what the server sends meanwhile: it may wait for that."""
        while self._pgconn.flush():
            self._wait(select.POLLIN | select.POLLOUT)

    def of_statement(self) -> PGresult:
        """Return the result of the next statement."""
        result = self._next()
        if result is None:
            raise psycopg.OperationalError(self._pgconn.get_error_message())
        while self._next() is not None:  # libpq ends the results of each statement with None
            pass
        return result

    def sync(self) -> None:
        """Take the result of the Sync: what came before it is committed."""
        result = self._next()
        if result is None or result.status != ExecStatus.PIPELINE_SYNC:
            raise psycopg.OperationalError(self._pgconn.get_error_message())

    def _next(self) -> PGresult | None:
        # `get_result` alone would wait without letting other threads run.
        while self._pgconn.is_busy():
            self._wait(select.POLLIN)
        return self._pgconn.get_result()

    def _wait(self, events: int) -> None:
        self._poll.register(self._pgconn.socket, events)
        if any(event & ~select.POLLOUT for _, event in self._poll.poll()):
            self._pgconn.consume_input()
