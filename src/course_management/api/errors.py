"""Every error leaves as `application/problem+json`: ours, the framework's, the database's, and mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import structlog
from flask import Flask, Response, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from ..database import SCHEMA_REVISION, Raced, Unavailable, is_missing, is_unavailable, kind_of, schema_state, sequences
from ..errors import (
    BadRequest,
    DatabaseUnavailable,
    InternalError,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    Problem,
    UnsupportedMediaType,
)
from ..logs import choose_request_id, frames_of, request_id
from ..schemas.outgoing import problem_body
from .browsers import ON_DATA
from .replies import reply
from .requests import printable

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

FROM_FRAMEWORK: dict[int | None, type[Problem]] = {
    problem.status: problem
    for problem in (BadRequest, NotFound, MethodNotAllowed, PayloadTooLarge, UnsupportedMediaType)
}

log = structlog.get_logger(__name__)


def init_app(app: Flask) -> None:
    """Register the one answer to everything that is raised."""
    app.register_error_handler(Exception, answer)


def answer(error: Exception) -> Response:
    """The answer to whatever was raised. Never SQL, a stack trace, or a rejected value."""
    problem = as_problem(error)
    body = problem_body(type(problem), problem.detail, printable(request.path), request_id()) | problem.facts
    response = reply(body, problem.status, content_type="application/problem+json")
    for name, value in problem.headers.items():
        response.headers[name] = value
    return response


def problem_response(problem: type[Problem], environ: WSGIEnvironment) -> tuple[int, list[tuple[str, str]], bytes]:
    """Make the response of `answer` without Flask, for requests that the application does not see: it must be cheap."""
    chosen = choose_request_id(environ.get("HTTP_X_REQUEST_ID"))
    path = printable(environ["PATH_INFO"].encode("latin1").decode(errors="replace"))
    body = orjson.dumps(problem_body(problem, problem.meaning, path, chosen))
    headers = [
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(body))),
        ("X-Request-ID", chosen),
        *problem.always.items(),
        *ON_DATA,
    ]
    return problem.status, headers, body


def as_problem(error: BaseException) -> Problem:
    """The problem that an exception amounts to."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        problem = FROM_FRAMEWORK.get(error.code, BadRequest if (error.code or 500) < 500 else InternalError)  # noqa: PLR2004 - HTTP
        headers = {name: value for name, value in error.get_headers() if name == "Allow"}
        return problem(headers=headers)
    # Raced with a cause: a constraint refuses, again and again, what the rules allow. Waiting will not mend that.
    raced = isinstance(error, Raced) and error.__cause__ is None
    if raced or (isinstance(error, SQLAlchemyError) and is_unavailable(error)):
        log.warning("database.unavailable", kind=kind_of(error))
        return DatabaseUnavailable(str(error)) if isinstance(error, Unavailable) else DatabaseUnavailable()
    if isinstance(error, SQLAlchemyError) and is_missing(error) and _has_another_schema():
        log.error("database.schema", needed=SCHEMA_REVISION)
        return DatabaseUnavailable("The database has another schema than this version of the service needs.")
    if table := sequences.without_ids(error):
        log.error("database.sequence_behind", table=table)
        return DatabaseUnavailable(sequences.sentence(table))
    log.error("internal_error", error=type(error).__name__, kind=kind_of(error), frames=frames_of(error))
    return InternalError()


def _has_another_schema() -> bool:
    try:
        return schema_state().problem is not None
    except SQLAlchemyError as error:
        return is_missing(error)  # it was never migrated
