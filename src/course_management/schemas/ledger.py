"""Lines of the ledger, as the histories show them."""

from __future__ import annotations

from marshmallow import Schema, fields

from .response_fields import MOMENT, Moment, Status, Word

EXAMPLE = {
    "at": MOMENT,
    "from": None,
    "to": "enrolled",
    "credits": 3,
    "actor": "anonymous",
    "request_id": "5f0c5b1e",
    "reason": None,
}


class LedgerLine(Schema):
    """A line of the ledger. `from` is null the first time, and the same as `to` where only the credits changed.

    `reason` is what the staff gave as the reason, or null.
    """

    at = Moment()
    from_ = Status(data_key="from", allow_none=True)
    to = Status()
    credits = fields.Float(required=True, allow_none=True, metadata={"description": "Of the student, after it."})
    actor = Word()
    request_id = Word(allow_none=True)
    reason = Word(allow_none=True)
