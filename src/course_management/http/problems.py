"""Every error as `application/problem+json` (RFC 9457): refusals, the framework's, the database's, and bugs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from flask import Flask, Response, has_app_context, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from ..context import current
from ..database import (
    SCHEMA_REVISION,
    Raced,
    Unavailable,
    is_missing,
    is_unavailable,
    kind_of,
    operator_advice,
    schema_state,
    sequences,
)
from ..errors import (
    BadRequest,
    DatabaseUnavailable,
    ErrorCode,
    InternalError,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    Problem,
    UnsupportedMediaType,
)
from ..logs import frames_of
from .headers import ON_DATA
from .hooks import choose_request_id
from .responses import reply
from .validation_errors import printable

PROBLEM_JSON = "application/problem+json"
FROM_FRAMEWORK: dict[int | None, type[Problem]] = {
    problem.status: problem
    for problem in (BadRequest, NotFound, MethodNotAllowed, PayloadTooLarge, UnsupportedMediaType)
}

REASON_S = 10.0

log = structlog.get_logger(__name__)
_reason_due = 0.0
"""When the next line gets a reason, on the clock of `time.monotonic`."""


def init_app(app: Flask) -> None:
    """Register the one handler of everything that is raised."""
    app.register_error_handler(Exception, respond)


def respond(error: Exception) -> Response:
    """Return the response to whatever was raised. Never SQL, a stack trace, or a rejected value."""
    problem, context = as_problem(error), current.get()
    body = problem_body(type(problem), problem.detail, printable(request.path), (context and context.request_id) or "")
    response = reply(body | problem.members, problem.status, content_type=PROBLEM_JSON)
    for name, value in problem.headers.items():
        response.headers[name] = value
    return response


def problem_response(problem: type[Problem], environ: Mapping[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
    """Make the response of `respond` without Flask, for requests that the application does not see: it must be cheap.

    Returns the status, the headers and the body.
    """
    chosen = choose_request_id(environ.get("HTTP_X_REQUEST_ID"))
    path = printable(environ["PATH_INFO"].encode("latin1").decode(errors="replace"))
    body = orjson.dumps(problem_body(problem, problem.meaning, path, chosen))
    headers = [
        ("Content-Type", PROBLEM_JSON),
        ("Content-Length", str(len(body))),
        ("X-Request-ID", chosen),
        *problem.always.items(),
        *ON_DATA,
    ]
    return problem.status, headers, body


def problem_body(problem: type[Problem], detail: str, instance: str, request_id: str) -> dict[str, Any]:
    """Return the members that every problem has; one occurrence may add more."""
    return {
        "type": problem_page(problem),
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "instance": instance,
        "code": problem.code,
        "request_id": request_id,
    }


def problem_page(cls: type[ErrorCode]) -> str:
    """Return the address of the page that explains a code."""
    return f"/problems/{cls.slug()}"


def as_problem(error: BaseException) -> Problem:
    """Return the problem that an exception amounts to."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        problem = FROM_FRAMEWORK.get(error.code, BadRequest if (error.code or 500) < 500 else InternalError)  # noqa: PLR2004 - HTTP
        headers = {name: value for name, value in error.get_headers() if name == "Allow"}
        return problem(headers=headers)
    # Raced with a cause: a constraint refuses, again and again, what the rules allow. Waiting does not help.
    raced = isinstance(error, Raced) and error.__cause__ is None
    if raced or (isinstance(error, SQLAlchemyError) and is_unavailable(error)):
        log.warning("database.unavailable", kind=kind_of(error), **_reason(error))
        return DatabaseUnavailable(str(error)) if isinstance(error, Unavailable) else DatabaseUnavailable()
    if isinstance(error, SQLAlchemyError) and is_missing(error) and _has_another_schema():
        log.error("database.schema", needed=SCHEMA_REVISION)
        return DatabaseUnavailable("The database has another schema than this version of the service needs.")
    if table := sequences.without_ids(error):
        log.error("database.sequence_behind", table=table)
        return DatabaseUnavailable(sequences.sentence(table))
    log.error("internal_error", error=type(error).__name__, kind=kind_of(error), frames=frames_of(error))
    return InternalError()


def _reason(error: BaseException) -> dict[str, str]:
    """Return what an operator can do about the error, for one line per `REASON_S` seconds: others would repeat it."""
    global _reason_due  # noqa: PLW0603 - two threads may both write it, and no more
    now = time.monotonic()
    if now < _reason_due or not isinstance(error, SQLAlchemyError) or not has_app_context():
        return {}
    _reason_due = now + REASON_S
    advice = operator_advice(error)
    return {"reason": advice} if advice else {}


def _has_another_schema() -> bool:
    try:
        return schema_state().problem is not None
    except SQLAlchemyError as error:
        return is_missing(error)  # it was never migrated
