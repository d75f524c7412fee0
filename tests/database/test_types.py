"""Values keep their meaning on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from ..support.fixture_types import Sql


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("2026-09-01 08:00:00.123456", "2026-09-01T08:00:00.123456Z"),
        ("2026-09-01 08:00:00", "2026-09-01T08:00:00Z"),
        ("2026-09-01T08:00:00Z", "2026-09-01T08:00:00Z"),
        ("2026-09-01", "2026-09-01T00:00:00Z"),
    ],
)
def test_a_time_that_was_written_by_hand_is_read_in_utc(
    client: FlaskClient, course: Callable[..., int], sql: Sql, written: str, shown: str
) -> None:
    programming = course()

    sql("UPDATE courses SET created_at = :written", written=written)

    assert client.get(f"/courses/{programming}").get_json()["created_at"] == shown
