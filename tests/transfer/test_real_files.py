"""Real files of four systems: each becomes records, and each hole in them is reported.

Run with `TEST_DATA=/path/to/data`.
"""

from __future__ import annotations

from collections import Counter

import pytest

from .reading import read_path, real


@pytest.mark.parametrize(
    ("name", "expected", "expected_findings"),
    [
        (
            "rosters/canvas",
            {"terms": 10, "courses": 2286, "instructors": 1310, "enrollments": 12766},
            {"unusual_date": 270, "term_has_no_dates": 2},
        ),
        (
            "rosters/oneroster-a",
            {
                "terms": 3,
                "catalog": 40,
                "courses": 72,
                "students": 140,
                "people": 40,
                "enrollments": 225,
                "instructors": 80,
            },
            {"several_schools": 1},
        ),
        (
            "rosters/oneroster-1.2/full.zip",
            {"terms": 3, "courses": 2, "students": 4, "people": 3, "enrollments": 4, "instructors": 2},
            {"unknown_column": 3, "catalog_entry_not_found": 2, "several_terms": 1},
        ),
        (
            "rosters/sds-2.1",
            {"terms": 2, "catalog": 3, "courses": 2, "students": 4, "people": 2, "enrollments": 4, "instructors": 2},
            {"no_role": 2, "several_schools": 1},
        ),
        ("uiuc/prerequisites.csv", {"prerequisites": 4949}, {}),
        (
            "uiuc/sections-2026-su.csv",
            {"catalog": 1062, "courses": 1675, "meetings": 1011},
            {"credits_between": 98, "meeting_without_time": 120},
        ),
    ],
)
def test_every_row_of_a_real_file_becomes_a_record_or_a_finding(
    name: str, expected: dict[str, int], expected_findings: dict[str, int]
) -> None:
    records, findings = read_path(real(name), term="2026-su")
    assert Counter(each.kind.name for each in records) == expected
    assert Counter(each.code for each in findings) == expected_findings


def test_leading_zeros_of_real_ids_stay() -> None:
    records, _ = read_path(real("rosters/canvas"))
    students = {each.values["student"] for each in records if each.kind.name == "enrollments"}
    assert any(each.startswith("0") for each in students)
