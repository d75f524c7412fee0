"""Whether the process is up, and whether it can do its work."""

from __future__ import annotations

from flask import Response
from sqlalchemy.exc import SQLAlchemyError

from ..database import Unavailable, is_missing, schema_state
from ..errors import DatabaseUnavailable
from ..schemas import outgoing
from .blueprint import Blueprint
from .replies import reply

blp = Blueprint("health", __name__, description="For load balancers and operators.")


@blp.endpoint("GET", "/healthz")
@blp.answer(200, outgoing.Health, {"status": "ok"})
def get_liveness() -> Response:
    """Tell that the process is up; looks at nothing else."""
    return reply({"status": "ok"})


@blp.endpoint("GET", "/readyz")
@blp.answer(200, outgoing.Health, {"status": "ok"})
def get_readiness() -> Response:
    """Tell whether the database answers and has a schema that this version can work with."""
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
