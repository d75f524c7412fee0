"""One statement on PostgreSQL, by libpq's own prepared statements.

A statement's name is made of its text, so that a name means one statement to whoever else is given the server's session
by a pooler, and nobody reads another statement's rows.

psycopg's cursor is made for more: it speaks without blocking, counts what is worth preparing, and guesses the types of
parameters from their values. A thread that waits for its one statement needs none of that, and it is half of the
statement's cost to us (decision 9).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any

from psycopg import Connection, OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import (
    DuplicatePreparedStatement,
    FeatureNotSupported,
    InvalidSqlStatementName,
    error_from_result,
)
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import PoolProxiedConnection


def execute(
    connection: PoolProxiedConnection, text: str, values: Sequence[Any], make_row: Callable[[Sequence[Any]], Any]
) -> list[Any]:
    """Run a statement with `$1`, `$2` and so on for `values`; its rows. Raises psycopg's errors.

    The types of the values are what the statement says they are, as in `$1::BIGINT`.
    """
    driver: Connection[Any] = connection.driver_connection  # type: ignore[assignment]
    transformer = Transformer(driver)
    given = transformer.dump_sequence(values, [PyFormat.TEXT] * len(values))
    prepared: set[bytes] = connection.info.setdefault("prepared", set())
    name = _name(text)
    if name not in prepared:
        with suppress(DuplicatePreparedStatement):  # this very statement, by another client of a pooler
            _done(driver.pgconn.prepare(name, text.encode()))
        prepared.add(name)
    result = _done(driver.pgconn.exec_prepared(name, given))  # type: ignore[arg-type]  # None is NULL
    transformer.set_pgresult(result)
    return transformer.load_rows(0, result.ntuples, make_row)


@functools.cache
def _name(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).hexdigest().encode()


def has_forgotten(error: BaseException) -> bool:
    """Whether the session does not know the statement any more, or a migration has changed what it answers.

    Both are said before anything is done, and a new connection mends them.
    """
    return isinstance(error, InvalidSqlStatementName | FeatureNotSupported)


def _done(result: PGresult) -> PGresult:
    if result.status in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}:
        return result
    if result.error_field(DiagnosticField.SQLSTATE):
        raise error_from_result(result)
    raise OperationalError(result.get_error_message())  # libpq's own: the connection is lost
