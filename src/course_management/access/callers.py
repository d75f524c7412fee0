"""The callers: a service with an API key, or a person with a token."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import Unauthenticated

CHALLENGE = Unauthenticated.always["WWW-Authenticate"]
"""The WWW-Authenticate header of a response to a request without credentials (RFC 6750)."""


@dataclass(frozen=True, slots=True)
class ServiceCaller:
    """A program, known by its API key."""

    actor: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class PersonCaller:
    """A student, a member of the staff or an instructor, known by the subject of a token."""

    actor: str
    roles: frozenset[str] = frozenset()
    """`registrar`, `advisor`."""
    student_id: int | None = None
    """The student that the person is."""
    advisees: frozenset[int] = frozenset()
    """The students that the person advises."""
    teaches: frozenset[int] = frozenset()
    """The courses whose instructor the person is."""


Caller = ServiceCaller | PersonCaller


class InvalidToken(Exception):
    """A token is not accepted; the text is a sentence for its sender."""
