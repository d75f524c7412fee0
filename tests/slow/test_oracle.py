"""The service and the oracle decide the same in many schools, in which every code is seen."""

from __future__ import annotations

from flask import Flask

from ..oracle.comparison import compare
from ..oracle.registrar import CODES

ACTIONS = {"then enrolled", "then waitlisted", "then unenrolled", "then withdrawn", "then change_credits", "promoted"}


def test_service_and_oracle_decide_the_same_with_every_code(app: Flask) -> None:
    seen = compare(app, examples=600, chance=20261126)

    assert {*CODES, *ACTIONS} <= {*seen}
