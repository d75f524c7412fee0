"""Writes pause after one was cut off, then one at a time probes; see `database/write_breaker.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from course_management.database import write_breaker
from course_management.database.failures import WritesStopped
from course_management.database.write_breaker import ConnectionUse, WriteBreaker


@pytest.fixture
def breaker(monkeypatch: pytest.MonkeyPatch) -> WriteBreaker:
    """Return a breaker without a pause, so that the next write is the probe."""
    monkeypatch.setattr(write_breaker, "PAUSE_S", 0.0)
    return WriteBreaker()


def use(breaker: WriteBreaker) -> ConnectionUse:
    return ConnectionUse(connection=cast("Any", None), ends=0.0, breaker=breaker)


def admitted(breaker: WriteBreaker) -> ConnectionUse:
    begun = use(breaker)
    breaker.admit(begun)
    return begun


def cut_off(breaker: WriteBreaker, write: ConnectionUse) -> None:
    write.is_cut_off = True
    breaker.ended(write)


def committed(breaker: WriteBreaker, write: ConnectionUse) -> None:
    write.has_written = True
    breaker.ended(write)


def test_after_a_cut_one_write_at_a_time_is_admitted(breaker: WriteBreaker) -> None:
    cut_off(breaker, admitted(breaker))
    probe = admitted(breaker)
    assert probe.is_probe
    with pytest.raises(WritesStopped):
        admitted(breaker)

    committed(breaker, probe)

    assert not admitted(breaker).is_probe


@pytest.mark.parametrize("order", [("probe", "older"), ("older", "probe")])
def test_writes_resume_in_whatever_order_a_probe_and_an_older_write_end(
    breaker: WriteBreaker, order: Sequence[str]
) -> None:
    for _ in range(2):  # a second outage as well
        lost, older = admitted(breaker), admitted(breaker)
        cut_off(breaker, lost)
        writes = {"older": older, "probe": admitted(breaker)}
        for name in order:
            committed(breaker, writes[name])

    assert not admitted(breaker).is_probe


def test_a_probe_that_is_cut_off_or_writes_nothing_is_followed_by_another(breaker: WriteBreaker) -> None:
    cut_off(breaker, admitted(breaker))
    for end in (cut_off, WriteBreaker.ended, cut_off):
        probe = admitted(breaker)
        assert probe.is_probe
        end(breaker, probe)
    assert admitted(breaker).is_probe


def test_no_write_begins_while_writes_are_paused(breaker: WriteBreaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_breaker, "PAUSE_S", float("inf"))
    cut_off(breaker, admitted(breaker))
    for _ in range(3):
        with pytest.raises(WritesStopped):
            admitted(breaker)
