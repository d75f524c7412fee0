"""Lines of the ledger, as the histories show them."""

from __future__ import annotations

from marshmallow import Schema

from ..models import STATUSES
from .response_fields import MOMENT, Moment, Word

EXAMPLE = {"at": MOMENT, "from": None, "to": "enrolled", "actor": "anonymous", "request_id": "5f0c5b1e"}


class LedgerLine(Schema):
    """A line of the ledger. `from` is null the first time."""

    at = Moment()
    from_ = Word(*STATUSES, type_name="Status", data_key="from", allow_none=True)
    to = Word(*STATUSES, type_name="Status")
    actor = Word()
    request_id = Word(allow_none=True)
