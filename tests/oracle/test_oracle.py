"""The service and the oracle decide the same in schools that Hypothesis draws; more of them in `tests/slow`."""

from __future__ import annotations

from flask import Flask

from course_management.errors import CourseFull, WaitlistFull
from course_management.services.enrollment import rules

from .comparison import compare
from .registrar import CODES, WAIVABLE


def test_the_oracle_knows_every_rule() -> None:
    """Otherwise a rule that was added later would be compared with nothing."""
    of_service = {rule.code for rule in rules.RULES} | {CourseFull.code, WaitlistFull.code}
    assert of_service == CODES, (
        "Write the judgement of the oracle in tests/oracle/registrar.py, and the code in CODES there."
    )
    assert rules.waivable() == WAIVABLE, "Correct WAIVABLE in tests/oracle/registrar.py."


def test_service_and_oracle_decide_the_same(app: Flask) -> None:
    seen = compare(app, examples=40)

    assert seen["refused"]
    assert seen["then enrolled"]
