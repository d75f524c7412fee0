"""The ORM session of services: for everything but the hot path, which goes to the driver (`execute`).

    @retried(repeatable=False)
    def change(course_id: int, values: Mapping[str, Any]) -> Course:
        with refusing(REFUSALS), writing() as session:
            course = session.get(Course, course_id, with_for_update={"key_share": True})
            ...
            return course

    def one(course_id: int) -> Course | None:
        with reading() as session:
            return session.get(Course, course_id)

Both use connections of the same pool as Core calls, with the same deadline, time limits and write breaker. Errors of
the database are SQLAlchemy's, as in `transaction()`; `retried` goes around the whole function, so that each attempt has
a new session.

A thread has one connection at a time: two would wait for each other when the pool is empty. So finish the block before
calling `autocommit`, `transaction`, or a function that does; a `writing` or `reading` inside another raises
`InvalidRequestError`. Objects stay readable after the block, with the columns that were loaded: relationships and
deferred columns must be read, or loaded eagerly, inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event, func, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Session

from . import groups
from .base import db
from .execute import refuse_late_work

_READS_ONLY = "reads_only"


@contextmanager
def writing() -> Iterator[Session]:
    """Open a session whose changes are applied whole at the end of the block or, on any exception, not at all.

    On SQLite it takes the write lock at once (BEGIN IMMEDIATE). A constraint that refuses raises `IntegrityError` when
    the change is flushed: at the latest at the end of the block, so `refusing` belongs outside.
    """
    with groups.alone():
        session = _new_session()
        try:
            with session.begin():
                yield session
        finally:
            db.session.remove()


@contextmanager
def reading() -> Iterator[Session]:
    """Open a session whose statements run in autocommit: each sees what is committed then, and none locks.

    A change to an object raises `InvalidRequestError` when it is flushed.
    """
    with groups.alone():
        session = _new_session()
        try:
            session.info[_READS_ONLY] = True
            session.connection(execution_options={"autocommit": True})
            yield session
        finally:
            db.session.remove()


def lock_text(session: Session, text: str) -> None:
    """Let one `writing` block at a time pass for a text, until it ends. On SQLite, one at a time does in any case."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(text, 0))))


def _new_session() -> Session:
    refuse_late_work()
    session: Session = db.session()
    if session.in_transaction():
        raise InvalidRequestError("A session is open already: one block must end before another begins.")
    return session


@event.listens_for(Session, "before_flush")
def _refuse_to_write(session: Session, *_: object) -> None:
    if session.info.get(_READS_ONLY):
        raise InvalidRequestError("This session only reads: change objects in a `writing` block.")
