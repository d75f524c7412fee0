"""Who calls: a service with a key, or a person with a token."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from ..errors import Unauthenticated

CHALLENGE = Unauthenticated.always["WWW-Authenticate"]
"""What WWW-Authenticate says to who came without credentials (RFC 6750)."""


@dataclass(frozen=True, slots=True)
class Service:
    """A program, known by its key."""

    actor: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whose token's subject is linked to a student or to a member of the staff.

    `students` are whom the person may act for: a student's own id, or those an advisor is named for.
    """

    actor: str
    role: str
    """`student`, `advisor` or `registrar`."""
    students: frozenset[int] = frozenset()


Caller = Service | Person


class InvalidToken(Exception):
    """A token is not accepted; the text is a sentence for whoever sent it."""


_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


def set_caller(caller: Caller | None) -> None:
    """Say who asks in this request; None in protected mode, and where anybody may ask."""
    _caller.set(caller)


def caller() -> Caller | None:
    """Who sent this request; None in protected mode, and where anybody may ask."""
    return _caller.get()


def actor() -> str:
    """Who asks, as the ledger and the log say it."""
    caller = _caller.get()
    return caller.actor if caller else "anonymous"
