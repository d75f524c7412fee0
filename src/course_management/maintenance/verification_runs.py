"""Verify the database in the background: daily, and when a registrar asks for it. The database keeps the results.

So every process knows the last result, and one verification at a time goes on among all of them.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.exc import SQLAlchemyError

from ..config import Settings
from ..database import autocommit, kind_of, lock_text, own_connection, writing
from ..database.types import Id, UtcDateTime, utcnow
from ..models import Verification, verifications
from .verify import Finding, verify

GIVEN_UP_AFTER = timedelta(hours=1)
"""A verification without a result was interrupted if it began longer ago than this."""
KEPT = timedelta(days=100)

_NEWEST = select(verifications.c.started_at, verifications.c.ended_at).order_by(verifications.c.id.desc()).limit(1)
_LAST_ENDED = (
    select(verifications).where(verifications.c.ended_at.is_not(None)).order_by(verifications.c.id.desc()).limit(1)
)
_END = (
    update(verifications)
    .where(verifications.c.id == bindparam("which", type_=Id))
    .values(
        ended_at=bindparam("now", type_=UtcDateTime),
        error=bindparam("kind"),
        findings=bindparam("result", type_=verifications.c.findings.type),
    )
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A verification that has ended. `error` is the kind of the error that ended it early."""

    ended_at: datetime
    seconds: float
    findings: Sequence[Finding]
    error: str | None

    @property
    def broken(self) -> Sequence[Finding]:
        """The findings of broken invariants."""
        return [finding for finding in self.findings if finding.verdict == "BROKEN"]


def last_result() -> StoredResult | None:
    """Return the result of the last verification that has ended; None if there is none."""
    for row in autocommit(_LAST_ENDED):
        findings = [Finding(**finding) for finding in row.findings or []]
        return StoredResult(row.ended_at, (row.ended_at - row.started_at).total_seconds(), findings, row.error)
    return None


def last_began_at() -> datetime | None:
    """Return when the last verification began, whether it has ended or not; None if there is none."""
    return next((row.started_at for row in autocommit(_NEWEST)), None)


def is_running() -> bool:
    """Return whether a verification is going on in any process."""
    return any(row.ended_at is None and row.started_at > utcnow() - GIVEN_UP_AFTER for row in autocommit(_NEWEST))


def begin(settings: Settings) -> threading.Thread | None:
    """Begin a verification in a thread of its own, which is returned; None if one is going on in some process.

    It ends with the process.
    """
    with writing() as session:
        lock_text(session, "verification")
        now = utcnow()
        newest = session.execute(_NEWEST).one_or_none()
        if newest and newest.ended_at is None and newest.started_at > now - GIVEN_UP_AFTER:
            return None
        session.execute(delete(verifications).where(verifications.c.started_at < now - KEPT))
        row = Verification(started_at=now)
        session.add(row)
        session.flush()
        verification_id = row.id
    thread = threading.Thread(target=_run, args=(settings, verification_id), name="verification", daemon=True)
    thread.start()
    return thread


def _run(settings: Settings, verification_id: int) -> None:
    started, findings, error = time.perf_counter(), list[Finding](), None
    with own_connection(settings):
        try:
            findings.extend(verify())
        except Exception as failure:  # noqa: BLE001 - the page reports it, and a later verification may succeed
            error = kind_of(failure)
        result = json.loads(json.dumps([asdict(finding) for finding in findings], default=str))
        try:
            autocommit(_END, {"which": verification_id, "now": utcnow(), "kind": error, "result": result})
        except SQLAlchemyError as failure:
            error = kind_of(failure)
    seconds = round(time.perf_counter() - started, 1)
    broken = [finding.name for finding in findings if finding.verdict == "BROKEN"]
    if broken or error:
        log.error("verification.failed", seconds=seconds, broken=broken, error=error)
    else:
        log.info("verification.ended", seconds=seconds)
