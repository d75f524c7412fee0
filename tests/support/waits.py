"""Sessions that wait for a lock, as long as a slow machine needs."""

from __future__ import annotations

from sqlalchemy import Engine, text

from .databases import PATIENCE_S
from .real_server import until

PATIENT = {
    f"database_{name}_ms": PATIENCE_S * 1000
    for name in ("lock_timeout", "statement_timeout", "deadline", "pool_timeout")
}
"""Settings of an app whose statements wait as long as a test does: on a slow machine, a limit would end the wait."""


def wait_until_blocked(engine: Engine, sessions: int = 1, *, by: str = "%") -> None:
    """Wait until at least this many sessions wait for a lock; `by`: a kind of lock, as in `pg_stat_activity`."""
    blocked = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND wait_event LIKE :by AND datname = current_database()"
    )
    # In autocommit: within a transaction, PostgreSQL would always show what the first query saw.
    with engine.connect().execution_options(autocommit=True) as watch:
        until(lambda: watch.execute(blocked, {"by": by}).scalar_one() >= sessions, "a wait for a lock")
