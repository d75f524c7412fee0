"""Health checks: whether the process is up, and whether it can do its work."""

from __future__ import annotations

from flask import Response
from marshmallow import Schema
from sqlalchemy.exc import SQLAlchemyError

from ..access.policy import PUBLIC, Access
from ..database import Unavailable, is_missing, schema_state
from ..errors import DatabaseUnavailable
from ..http.endpoints import Endpoints, responds
from ..http.responses import reply
from ..schemas.response_fields import Word

endpoints = Endpoints("health", __name__, description="For load balancers and operators.")


class Health(Schema):
    """A service that can do its work."""

    status = Word("ok")


@endpoints.declare("GET", "/healthz", Access(scope=None, waits=False))
@responds(200, Health, {"status": "ok"})
def get_liveness() -> Response:
    """Report that the process is up; checks nothing else."""
    return reply({"status": "ok"})


@endpoints.declare("GET", "/readyz", PUBLIC)
@responds(200, Health, {"status": "ok"})
def get_readiness() -> Response:
    """Report whether the database responds and has a schema that this version can work with."""
    try:
        problem = schema_state().problem
    except Unavailable as error:
        raise DatabaseUnavailable(str(error)) from None
    except SQLAlchemyError as error:
        raise DatabaseUnavailable(
            "The database was never migrated: run `course-management migrate`."
            if is_missing(error)
            else "The database does not respond, or refuses the service."
        ) from None
    if problem:
        raise DatabaseUnavailable(problem)
    return reply({"status": "ok"})
