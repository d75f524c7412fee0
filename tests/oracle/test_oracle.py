"""The service and the oracle decide the same in schools that Hypothesis draws; more of them in `tests/slow`."""

from __future__ import annotations

from flask import Flask

from .comparison import compare


def test_service_and_oracle_decide_the_same(app: Flask) -> None:
    seen = compare(app, examples=40)

    assert seen["refused"]
    assert seen["then enrolled"]
