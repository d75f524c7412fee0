"""Writes pause after one was cut off, then one at a time finds out; see `database/breaker.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from course_management.database import breaker as module
from course_management.database.breaker import Breaker, Use
from course_management.database.failures import WritesStopped


@pytest.fixture
def breaker(monkeypatch: pytest.MonkeyPatch) -> Breaker:
    """One that pauses for no time, so that the next write is the probe."""
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    return Breaker()


def use(breaker: Breaker) -> Use:
    return Use(connection=cast("Any", None), ends=0.0, breaker=breaker)


def admitted(breaker: Breaker) -> Use:
    begun = use(breaker)
    breaker.admit(begun)
    return begun


def cut_off(breaker: Breaker, write: Use) -> None:
    write.is_cut_off = True
    breaker.ended(write)


def committed(breaker: Breaker, write: Use) -> None:
    write.has_written = True
    breaker.ended(write)


def test_after_a_cut_one_write_at_a_time_is_admitted(breaker: Breaker) -> None:
    cut_off(breaker, admitted(breaker))
    probe = admitted(breaker)
    assert probe.is_probe
    with pytest.raises(WritesStopped):
        admitted(breaker)

    committed(breaker, probe)

    assert not admitted(breaker).is_probe


@pytest.mark.parametrize("order", [("probe", "older"), ("older", "probe")])
def test_in_whatever_order_a_probe_and_an_older_write_end_writes_go_on(breaker: Breaker, order: Sequence[str]) -> None:
    for _ in range(2):  # a second outage as well
        lost, older = admitted(breaker), admitted(breaker)
        cut_off(breaker, lost)
        writes = {"older": older, "probe": admitted(breaker)}
        for name in order:
            committed(breaker, writes[name])

    assert not admitted(breaker).is_probe


def test_a_probe_that_is_cut_off_or_writes_nothing_is_followed_by_another(breaker: Breaker) -> None:
    cut_off(breaker, admitted(breaker))
    for end in (cut_off, Breaker.ended, cut_off):
        probe = admitted(breaker)
        assert probe.is_probe
        end(breaker, probe)
    assert admitted(breaker).is_probe


def test_while_writes_pause_none_is_begun(breaker: Breaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_S", float("inf"))
    cut_off(breaker, admitted(breaker))
    for _ in range(3):
        with pytest.raises(WritesStopped):
            admitted(breaker)
