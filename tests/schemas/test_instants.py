"""Times of requests, as RFC 3339 writes them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from course_management.schemas.fields import Instant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-09-01T08:00:00Z", datetime(2026, 9, 1, 8, tzinfo=UTC)),
        ("2026-09-01t08:00:00.5+02:00", datetime(2026, 9, 1, 6, 0, 0, 500_000, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:60.25Z", datetime(2017, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)),
        ("2017-01-01T00:59:60+01:00", datetime(2017, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_loaded_in_utc_and_a_leap_second_is_the_next_minute(text: str, expected: datetime) -> None:
    assert Instant().deserialize(text) == expected
