"""A seal: a digest of the ledger up to a line, which shows later whether a line was changed, removed or inserted.

Triggers prevent changes of the ledger by mistake. The owner of the database can disable them; a seal that is stored
elsewhere reveals that. It has the SHA-256 of each block of 10,000 ids and of all lines, in the same form on both
databases:

    [id,"2026-09-01T08:00:00.123456Z",student_id,course_id,from,to,actor,request_id,credits]

as compact JSON, one per line; credits are in hundredths. The reasons have a digest of their own, of the lines that have
one, as `[id,reason]`: a reason can be erased with its student, and then only that digest is different. Seals of format
1 end with the request id, and those of format 2 have the reason at the end of the line; both can still be compared. The
ledger is read in parts, in bounded memory.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Integer, bindparam, func, select, text, type_coerce

from ..database import SCHEMA_REVISION, db
from ..database.types import Id, utcnow
from ..models import ERASED, events

BLOCK = 10_000
"""Ids per block: how precisely a difference is located."""

_COLUMNS: tuple[ColumnElement[Any], ...] = (
    events.c.id,
    events.c.at,
    events.c.student_id,
    events.c.course_id,
    events.c.from_status,
    events.c.to_status,
    events.c.actor,
    events.c.request_id,
)
FORMATS = {
    "ledger seal 1: sha256 of compact JSON lines": _COLUMNS,
    "ledger seal 2: sha256 of compact JSON lines": (*_COLUMNS, type_coerce(events.c.credits, Integer), events.c.reason),
    "ledger seal 3: sha256 of compact JSON lines": (*_COLUMNS, type_coerce(events.c.credits, Integer)),
}
"""The columns of a line, by the format; new seals have the last one."""
NEWEST = [*FORMATS][-1]


class NotASeal(ValueError):
    """The file is not a seal of this version. The text is a sentence."""


@dataclass(frozen=True, slots=True)
class Block:
    """The lines with ids from `first` to `last`; blocks without lines are left out.

    `reasons` is the digest of their reasons, `erased` how many of these are erased; since format 3.
    """

    first: int
    last: int
    lines: int
    sha256: str
    reasons: str = ""
    erased: int = 0


@dataclass(frozen=True, slots=True)
class Seal:
    """The digest of the ledger up to the line `last_line`."""

    format: str
    made_at: str
    schema: str
    last_line: int
    lines: int
    sha256: str
    blocks: list[Block]

    def as_json(self) -> str:
        """Return the content of the file."""
        return json.dumps(asdict(self), indent=1) + "\n"


def read(content: bytes) -> Seal:
    """Parse the content of a file. Raises `NotASeal`."""
    try:
        content_of_seal = json.loads(content)
        seal = Seal(**{**content_of_seal, "blocks": [Block(**block) for block in content_of_seal["blocks"]]})
        if seal.format not in FORMATS:
            known = " and ".join(map(repr, FORMATS))
            raise NotASeal(f"The seal has the format {seal.format!r}, and this version reads {known}.")
        # This detects damage, not forgery: a seal must be stored where others cannot write.
        whole = isinstance(seal.last_line, int) and sum(block.lines for block in seal.blocks) == seal.lines
    except (ValueError, TypeError, KeyError) as error:
        if isinstance(error, NotASeal):
            raise
        raise NotASeal("The file is not a seal of the ledger.") from None
    if not whole:
        raise NotASeal("The seal is damaged: some of its blocks are missing.")
    return seal


def make(connection: Connection, last_line: int, seal_format: str = NEWEST) -> Seal:
    """Digest the ledger up to `last_line`, in the current transaction."""
    digest = hashlib.sha256()
    blocks: list[Block] = []
    lines = _lines(connection, last_line, FORMATS[seal_format])
    for number, of_block in itertools.groupby(lines, lambda line: (line[0] - 1) // BLOCK):
        block, reasons, count, erased = hashlib.sha256(), hashlib.sha256(), 0, 0
        for line_id, line, reason in of_block:
            digest.update(line)
            block.update(line)
            count += 1
            erased += reason == ERASED
            if reason is not None:
                reasons.update(orjson.dumps([line_id, reason]) + b"\n")
        apart = (reasons.hexdigest(), erased) if seal_format == NEWEST else ()
        blocks.append(Block(number * BLOCK + 1, (number + 1) * BLOCK, count, block.hexdigest(), *apart))
    total = sum(block.lines for block in blocks)
    made_at = utcnow().isoformat(timespec="seconds").replace("+00:00", "Z")
    return Seal(seal_format, made_at, SCHEMA_REVISION, last_line, total, digest.hexdigest(), blocks)


def differences(sealed: Seal, present: Seal) -> list[dict[str, Any]]:
    """Return the blocks in which the ledger differs from the seal, in order of their ids; not those of `erasures`."""
    return [
        {
            "lines_from": first,
            "to": first + BLOCK - 1,
            "sealed": then.lines if then else 0,
            "found": now.lines if now else 0,
        }
        for first, then, now in _different(sealed, present)
        if not _is_erasure(then, now)
    ]


def erasures(sealed: Seal, present: Seal) -> list[dict[str, Any]]:
    """Return the blocks that differ in their reasons only, some of which were erased since, in order of their ids."""
    return [
        {"lines_from": first, "to": first + BLOCK - 1, "reasons_erased": now.erased - then.erased}
        for first, then, now in _different(sealed, present)
        if then and now and _is_erasure(then, now)
    ]


def _different(sealed: Seal, present: Seal) -> Iterator[tuple[int, Block | None, Block | None]]:
    then, now = ({block.first: block for block in seal.blocks} for seal in (sealed, present))
    for first in sorted(then.keys() | now.keys()):
        if then.get(first) != now.get(first):
            yield first, then.get(first), now.get(first)


def _is_erasure(then: Block | None, now: Block | None) -> bool:
    return bool(then and now and then.sha256 == now.sha256 and then.lines == now.lines and now.erased > then.erased)


def last_settled_line() -> int:
    """Return the id of the last line below which no line can appear later, 0 for an empty ledger.

    PostgreSQL generates ids before it commits. The lock is granted after every transaction that has written a line has
    ended, and is released at once; requests wait for that time. Raises SQLAlchemy's errors if the lock is not granted.
    """
    with db.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE enrollment_events IN SHARE MODE"))
        return connection.execute(select(func.max(events.c.id))).scalar() or 0


def _lines(
    connection: Connection, last: int, columns: Sequence[ColumnElement[Any]]
) -> Iterator[tuple[int, bytes, str | None]]:
    """Yield each line: its id, its text in the seal, its reason."""
    part = (
        select(*columns, events.c.reason.label("apart"))
        .where(events.c.id > bindparam("after", type_=Id), events.c.id <= bindparam("last", type_=Id))
        .order_by(events.c.id)
        .limit(bindparam("limit", type_=Integer))
    )
    after = 0
    while rows := connection.execute(part, {"after": after, "last": last, "limit": BLOCK}).all():
        for row in rows:
            moment: datetime = row.at.astimezone(UTC).replace(tzinfo=None)
            fields = [row.id, moment.isoformat(timespec="microseconds") + "Z", *row[2:-1]]
            yield row.id, orjson.dumps(fields) + b"\n", row.apart
        after = rows[-1].id
