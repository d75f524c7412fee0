"""API keys as a resource. Nobody gives a key more scopes than they have (`policy.check_grant`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..context import RequestContext
from ..database import lock_text, retried, writing
from ..database.types import utcnow
from ..errors import KeyEnded, KeyNotFound, TooManyKeys
from ..models import ApiKey
from ..services import Precondition, resources
from ..services.resources import Resource
from . import keys, policy

AT_ONCE = 2
"""At most two active keys per name, so that a key can be rotated without downtime."""
KEY_RESOURCE = Resource(model=ApiKey, not_found=KeyNotFound, refusal_if_taken={})


class Created(NamedTuple):
    """A new key, and the text that its service sends, which is stored nowhere."""

    key: ApiKey
    secret: str


def create(
    name: str, scopes: Collection[str], expires_at: datetime | None = None, context: RequestContext | None = None
) -> Created:
    """Create a key. Without a `context`, as for commands, it may have any scopes.

    Raises `Forbidden` for scopes that the caller does not have, and `TooManyKeys`.
    """
    policy.check_grant(context and context.caller, scopes)
    return _create(name, scopes, expires_at)


@retried(repeatable=True)
def register(secret: str, name: str, scopes: Collection[str]) -> bool:
    """Store a key that was generated elsewhere, for a command; return False if it is stored already.

    Raises `KeyEnded` if it has expired or is revoked, and `TooManyKeys`.
    """
    with writing() as session:
        lock_text(session, f"keys {name}")
        stored = session.scalars(select(ApiKey).where(ApiKey.digest == keys.digest(secret))).one_or_none()
        if stored is None:
            _add(session, secret, name, scopes, None)
        elif _has_ended(stored):
            raise KeyEnded
        return stored is None


@retried(repeatable=False)
def _create(name: str, scopes: Collection[str], expires_at: datetime | None) -> Created:
    secret = keys.new()
    with writing() as session:
        # Two requests would not see the key of the other otherwise, nor could a constraint: keys expire by the clock.
        lock_text(session, f"keys {name}")
        return Created(_add(session, secret, name, scopes, expires_at), secret)


def _add(session: Session, secret: str, name: str, scopes: Collection[str], expires_at: datetime | None) -> ApiKey:
    active = select(func.count()).where(ApiKey.name == name, keys.active())
    if session.scalars(active).one() >= AT_ONCE:
        raise TooManyKeys
    key = ApiKey(
        name=name,
        prefix=keys.prefix_of(secret),
        digest=keys.digest(secret),
        scopes=sorted(scopes),
        expires_at=expires_at,
    )
    session.add(key)
    session.flush()
    return key


def _has_ended(key: ApiKey) -> bool:
    return key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= utcnow())


def change(
    key_id: int, values: Mapping[str, Any], precondition: Precondition | None, context: RequestContext
) -> ApiKey:
    """Change when a key expires.

    Raises `KeyNotFound`; `KeyEnded` if it has expired or is revoked; `Forbidden` if it has scopes that the caller does
    not have; and what `precondition` raises.
    """

    def check(key: ApiKey) -> None:
        if precondition:
            precondition(key)
        policy.check_grant(context.caller, key.scopes)
        if _has_ended(key):
            raise KeyEnded

    return resources.change(KEY_RESOURCE, key_id, values, check, context)


@retried(repeatable=True)
def revoke(key_id: int, precondition: Precondition | None = None) -> bool:
    """Revoke a key; return whether it was not revoked before. Requests with it are accepted for at most 5 seconds more.

    Raises `KeyNotFound`, and what `precondition` raises.
    """
    with writing() as session:
        key = resources.locked(session, KEY_RESOURCE, key_id, precondition)
        if key.revoked_at:
            return False
        key.revoked_at = utcnow()
        return True
