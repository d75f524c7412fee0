"""The lease: which process does the background work of a database.

PostgreSQL: a row of the table `leases`, by the database's clock alone, so that the clocks of machines may differ. It is
not an advisory lock, because behind PgBouncer a client does not keep its session.

SQLite: a lock on a file beside the database, which the kernel releases when the process ends, so that an idle service
writes nothing. The file is a separate one, because closing any descriptor of a file releases all POSIX locks that the
process has on it, and SQLite uses such locks on its own files.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from sqlalchemy import Interval, String, bindparam, delete, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL

from ..database import autocommit
from ..models import leases

NAME = "background"
LEASE_S = 12.0
"""How long a lease is valid after it was taken or renewed."""
RENEW_S = 5.0
"""How often the leader renews it."""
TRY_S = 3.0
"""How often the others try to take it: a dead leader is replaced within `LEASE_S` + `TRY_S` seconds."""

_name = bindparam("lease", type_=String)
_holder = bindparam("by", type_=String)
_lasts = bindparam("lasts", type_=Interval)
_IS_HELD = select(
    exists()
    .where(leases.c.name == _name, leases.c.holder != _holder, leases.c.expires_at > func.now())
    .label("is_held")
)
_new = insert(leases).values(name=_name, holder=_holder, expires_at=func.now() + _lasts)
# When several find it free at the same time, the first one gets it: the others check again under the row lock. The
# condition means `expires_at <= now()`: Citus takes only immutable functions there.
_TAKE = _new.on_conflict_do_update(
    index_elements=["name"],
    set_={"holder": _new.excluded.holder, "expires_at": _new.excluded.expires_at},
    where=or_(leases.c.holder == _new.excluded.holder, _new.excluded.expires_at - leases.c.expires_at >= _lasts),
).returning(leases.c.holder)
_RELEASE = delete(leases).where(leases.c.name == _name, leases.c.holder == _holder)


class Lease(Protocol):
    """The right to do the background work."""

    def acquire(self) -> bool:
        """Take or renew the lease. Returns whether this process holds it now."""

    def release(self) -> None:
        """Return the lease, so that another process can take it at once."""


class RowLease:
    """A lease in the table `leases`, for use in an application context. Raises SQLAlchemy's errors."""

    def __init__(self, name: str = NAME) -> None:
        self._name = name
        self.holder = f"{socket.gethostname()[:100]}:{os.getpid()}:{secrets.token_hex(8)}"

    def acquire(self) -> bool:
        """Take or renew the lease if no other process holds a valid one. Safe to repeat.

        While another one holds it, not even a row is locked: trying writes nothing.
        """
        values = {"lease": self._name, "by": self.holder}
        if autocommit(_IS_HELD, values)[0].is_held:
            return False
        return bool(autocommit(_TAKE, {**values, "lasts": timedelta(seconds=LEASE_S)}))

    def release(self) -> None:
        """Remove the row, if this process still holds the lease."""
        autocommit(_RELEASE, {"lease": self._name, "by": self.holder})


class FileLease:
    """A lock on a file, which is created with mode 600. Raises `OSError`."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Lock the file, unless this object has locked it already."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return False
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Unlock the file. It is not removed, because another process may be opening it at this moment."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lease_of(database: URL, name: str = NAME) -> RowLease | FileLease:
    """Make the lease for the background work of a database, or for other work that one process may do at a time."""
    if database.get_backend_name() == "sqlite":
        return FileLease(f"{database.database}-{'leader' if name == NAME else name}")
    return RowLease(name)
