"""The keys of services: made once, shown once, known by their digest.

A key reads `cmk_` + 8 characters that are its name in lists and logs + 40 of secret + 6 of checksum. The
checksum tells a mistyped key from a stranger's without a look at the database, and lets a scanner find leaked keys.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, bindparam, exists, insert, or_, select, update

from ..database import AnyRow, autocommit, transaction
from ..database.types import UtcDateTime, utcnow
from ..models import keys
from .callers import Service

ALPHABET = string.digits + string.ascii_letters
MARK, PREFIX, SECRET, CHECKSUM = "cmk_", 8, 40, 6
FORM = re.compile(rf"{MARK}[0-9A-Za-z]{{{PREFIX + SECRET + CHECKSUM}}}")
AT_ONCE = 2
"""Live keys of one name: the old one and, while a service is given its new one, that."""

_ANY = select(exists(select(keys.c.id)).label("found"))
_BY_PREFIX = select(keys).where(keys.c.prefix == bindparam("prefix"))
_USED = (
    update(keys)
    .where(keys.c.prefix == bindparam("which"))
    .values(last_used_at=bindparam("now", type_=UtcDateTime), updated_at=keys.c.updated_at)  # a use is no change
)


class TooManyKeys(Exception):
    """There are two live keys of this name already."""


def create(name: str, scopes: Iterable[str], expires_at: datetime | None = None) -> str:
    """Make a key; what is returned is nowhere else. Raises `TooManyKeys`."""
    body = MARK + "".join(secrets.choice(ALPHABET) for _ in range(PREFIX + SECRET))
    key = body + _checksum(body)
    same = select(keys.c.id).where(keys.c.name == name, _live())
    with transaction() as connection:
        # Locked, so that of two who add a second key at once the later one sees the other's.
        connection.execute(same.with_for_update())
        if len(connection.execute(same).all()) >= AT_ONCE:
            raise TooManyKeys
        connection.execute(
            insert(keys).values(
                name=name,
                prefix=prefix_of(key),
                digest=_digest(key),
                scopes=" ".join(sorted(set(scopes))),
                expires_at=expires_at,
            )
        )
    return key


def _live() -> ColumnElement[bool]:
    return and_(keys.c.revoked_at.is_(None), or_(keys.c.expires_at.is_(None), keys.c.expires_at > utcnow()))


def exist() -> bool:
    """Whether a key was ever made, live or not: that is what ends protected mode, for good."""
    return bool(autocommit(_ANY)[0].found)


def any_live() -> bool:
    """Whether somebody can still come with a key."""
    return bool(autocommit(select(keys.c.id).where(_live()).limit(1)))


def everything() -> Sequence[AnyRow]:
    """All keys, live or not, oldest first."""
    return autocommit(select(keys).order_by(keys.c.id))


def revoke(prefix: str) -> bool:
    """End a key; whether there was one to end. A process that has just looked believes in it for some seconds more."""
    with transaction() as connection:
        ended = connection.execute(
            update(keys).where(keys.c.prefix == prefix, keys.c.revoked_at.is_(None)).values(revoked_at=utcnow())
        )
        return bool(ended.rowcount)


def prefix_of(key: str) -> str:
    """What a key is called in lists and logs; also of a prefix itself."""
    return key.removeprefix(MARK)[:PREFIX]


def looks_like_one(credential: str) -> bool:
    """Whether this is meant to be a key, and not a token."""
    return credential.startswith(MARK)


def find(key: str) -> AnyRow | None:
    """The live key that this is, or None."""
    if not FORM.fullmatch(key) or _checksum(key[:-CHECKSUM]) != key[-CHECKSUM:]:
        return None
    rows = autocommit(_BY_PREFIX, {"prefix": prefix_of(key)})
    if not rows or not hmac.compare_digest(rows[0].digest, _digest(key)):
        return None
    found = rows[0]
    now = utcnow()
    return None if found.revoked_at or (found.expires_at and found.expires_at <= now) else found


def write_use(prefix: str, at: datetime) -> None:
    """Write down when a key was used. Raises SQLAlchemy's errors; see `key_use`."""
    autocommit(_USED, {"which": prefix, "now": at})


def service(found: AnyRow) -> Service:
    """The caller that a key stands for."""
    return Service(f"service:{found.name}", frozenset(found.scopes.split()))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _checksum(body: str) -> str:
    number, letters = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM):
        number, index = divmod(number, len(ALPHABET))
        letters += ALPHABET[index]
    return letters
