"""The service cannot carry out the request at present."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .base import Problem


class InternalError(Problem):
    code, status, title = "internal_error", 500, "Internal error"
    meaning = "An error in the service. Nothing of the request was applied unless the response had already begun."
    remedy = "Repeating an enrollment call is safe. Report the request_id to the operator of the service."


class DatabaseUnavailable(Problem):
    code, status, title = "database_unavailable", 503, "Database unavailable"
    always: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}
    meaning = "The database cannot serve the request at the moment."
    remedy = "Wait the seconds of Retry-After and repeat the request: every enrollment call is safe to repeat."


class Overloaded(Problem):
    code, status, title = "overloaded", 503, "Overloaded"
    always: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}
    meaning = "The service receives more requests than it can serve soon. This request was not started."
    remedy = "Wait the seconds of Retry-After and repeat the request; after each further refusal, wait twice as long."
