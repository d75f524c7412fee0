"""Prerequisites in words."""

from __future__ import annotations

from typing import Any

import pytest

from course_management.services.prerequisite_sentence import sentence

CS = {"catalog_id": 1, "code": "CS 173"}
MATH = {"catalog_id": 2, "code": "MATH 213", "minimum_grade": None, "minimum_points": None}
WITH_C = {"catalog_id": 3, "code": "MATH 347", "minimum_grade": "C", "minimum_points": 2}
READY = {"catalog_id": None, "group_id": 4, "code": "calculus-ready", "concurrent_allowed": False}


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([], None),
        ([[CS]], "CS 173"),
        ([[MATH, WITH_C]], "MATH 213 or MATH 347 with C"),
        ([[CS], [MATH]], "CS 173 and MATH 213"),
        ([[CS], [MATH, WITH_C]], "CS 173 and (MATH 213 or MATH 347 with C)"),
        ([[MATH, CS, READY]], "MATH 213 or CS 173 or group calculus-ready"),
        ([[READY]], "group calculus-ready"),
        ([[{**CS, "minimum_points": 2.5}]], "CS 173 with 2.5 points"),
        ([[{**CS, "minimum_points": 0}]], "CS 173 with 0 points"),
        (
            [[{**WITH_C, "concurrent_allowed": True}, CS], [READY]],
            "(MATH 347 with C (concurrent allowed) or CS 173) and group calculus-ready",
        ),
    ],
)
def test_prerequisites_are_said_in_words(groups: list[list[dict[str, Any]]], words: str | None) -> None:
    assert sentence(groups) == words
