"""API keys of services. A key is shown once, when it is created; only its digest is stored.

A key is `cmk_`, a prefix of 8 characters that identifies it in lists and logs, a secret of 40, and a checksum of 6. The
checksum recognizes a mistyped key without a query, and lets scanners find leaked keys.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, bindparam, exists, or_, select, update

from ..database import AnyRow, autocommit, travels
from ..database.types import UtcDateTime, utcnow
from ..models import keys
from .callers import ServiceCaller

ALPHABET = string.digits + string.ascii_letters
MARK, PREFIX, SECRET, CHECKSUM = "cmk_", 8, 40, 6
FORM = re.compile(rf"{MARK}[0-9A-Za-z]{{{PREFIX + SECRET + CHECKSUM}}}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")
"""The name of a service, which is in the ledger."""

_ANY = travels(select(exists(select(keys.c.id)).label("any_key")))
_BY_PREFIX = travels(select(keys).where(keys.c.prefix == bindparam("prefix")))
_USED = (
    update(keys)
    .where(keys.c.prefix == bindparam("which"))
    .values(
        last_used_at=bindparam("now", type_=UtcDateTime), updated_at=keys.c.updated_at
    )  # using a key does not change it
)


def new() -> str:
    """Return a new key. Nothing of it is stored."""
    body = MARK + "".join(secrets.choice(ALPHABET) for _ in range(PREFIX + SECRET))
    return body + _checksum(body)


def active() -> ColumnElement[bool]:
    """Return the condition that a key is neither revoked nor expired."""
    return and_(keys.c.revoked_at.is_(None), or_(keys.c.expires_at.is_(None), keys.c.expires_at > utcnow()))


def any_exist() -> bool:
    """Return whether a key was ever created, active or not. The first key ends protected mode permanently."""
    return bool(autocommit(_ANY)[0].any_key)


def any_active() -> bool:
    """Return whether an active key exists."""
    return bool(autocommit(select(keys.c.id).where(active()).limit(1)))


def list_all() -> Sequence[AnyRow]:
    """Return all keys, active or not, oldest first."""
    return autocommit(select(keys).order_by(keys.c.id))


def prefix_of(key: str) -> str:
    """Return the prefix that identifies a key in lists and logs; a prefix is returned as it is."""
    return key.removeprefix(MARK)[:PREFIX]


def looks_like_one(credential: str) -> bool:
    """Return whether a credential has the form of a key, not of a token."""
    return credential.startswith(MARK)


def is_valid(key: str) -> bool:
    """Return whether a text has the form of a key, and the checksum that belongs to it."""
    return bool(FORM.fullmatch(key)) and _checksum(key[:-CHECKSUM]) == key[-CHECKSUM:]


def find(key: str) -> AnyRow | None:
    """Return the row of an active key, or None."""
    if not is_valid(key):
        return None
    rows = autocommit(_BY_PREFIX, {"prefix": prefix_of(key)})
    if not rows or not hmac.compare_digest(rows[0].digest, digest(key)):
        return None
    row = rows[0]
    now = utcnow()
    return None if row.revoked_at or (row.expires_at and row.expires_at <= now) else row


def write_use(prefix: str, at: datetime) -> None:
    """Store when a key was used. Raises SQLAlchemy's errors; see `key_use`."""
    autocommit(_USED, {"which": prefix, "now": at})


def caller_of(row: AnyRow) -> ServiceCaller:
    """Return the caller that a key belongs to."""
    return ServiceCaller(f"service:{row.name}", frozenset(row.scopes))


def digest(key: str) -> str:
    """Return what is stored of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def _checksum(body: str) -> str:
    remainder, letters = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM):
        remainder, index = divmod(remainder, len(ALPHABET))
        letters += ALPHABET[index]
    return letters
