"""Writes. One function is one transaction, ended on its last line; nothing else in the project commits.

A service takes ids and plain values and returns rows; it refuses by raising from `errors`. It knows
neither HTTP nor Flask's request: the caller and the request come in as `context`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import IntegrityError

from ..database import broken_constraint
from ..errors import Problem

Precondition = Callable[[Any], None]
"""Called with what is about to be changed, once it is locked; raises `PreconditionFailed` when it is stale."""


@contextmanager
def refusing(refusals: Mapping[str, type[Problem]]) -> Iterator[None]:
    """Turn the violation of a named constraint into the refusal it stands for; any other goes on as it is."""
    try:
        yield
    except IntegrityError as error:
        refusal = refusals.get(broken_constraint(error))
        if refusal is None:
            raise
        raise refusal from None
