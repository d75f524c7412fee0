"""`course-management worker` runs the same jobs in a separate process."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from ..support.databases import PATIENCE_S
from ..support.fixture_types import Counters, Enroll, Make, Sql
from ..support.real_server import until
from .process import working


def events(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_worker_command_promotes_until_it_gets_a_signal(
    tmp_path: Path,
    database: URL,
    student: Make,
    course: Make,
    enroll: Enroll,
    sql: Sql,
    counters: Counters,
    number: signal.Signals,
) -> None:
    full, waiting = course(capacity=0, waitlist_capacity=None), student()
    enroll(waiting, full, waitlist=True)
    sql("UPDATE courses SET capacity = 1")

    with working(tmp_path, database) as (process, log):
        until(lambda: counters(full) == (1, 0), "the promotion")
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0

    lines = events(log)
    assert [line["event"] for line in lines] == ["background.leader", "enrollment.promoted", "background.stopped"]
    assert lines[1] | {"duration_ms": 0} == {
        "event": "enrollment.promoted",
        "level": "info",
        "student_id": waiting,
        "course_ids": [full],
        "codes": [],
        "duration_ms": 0,
        "timestamp": lines[1]["timestamp"],
    }
    assert lines[0]["pid"] == process.pid
    assert not sql("SELECT * FROM leases")
