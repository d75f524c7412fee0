"""Writes. A change is one transaction; after its commit, a function may promote, and read what it returns.

What belongs to one other part is written there: uses of keys in `access`, the lease in `background`, `demo`.

A service takes ids and plain values, returns rows, and refuses by raising a problem from `errors`. It uses neither
HTTP nor Flask's request: `context` says which request and which caller a change is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import IntegrityError

from ..database import broken_constraint
from ..errors import Problem

Precondition = Callable[[Any], None]
"""Called with the rows to be changed, once they are locked; raises `PreconditionFailed` for a stale ETag."""


@contextmanager
def refusing(refusals: Mapping[str, type[Problem]]) -> Iterator[None]:
    """Turn the violation of a named constraint into the refusal it stands for; raise any other error unchanged."""
    try:
        yield
    except IntegrityError as error:
        refusal = refusals.get(broken_constraint(error))
        if refusal is None:
            raise
        raise refusal from None
