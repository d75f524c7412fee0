"""The audit says what it could not check, which pip-audit alone takes for success."""

from __future__ import annotations

from typing import Any

import pytest
from release.audit import judge

SOUND = {"name": "flask", "version": "3.1.3", "vulns": []}
SKIPPED = {"name": "orjson", "skip_reason": "Dependency not found on PyPI and could not be audited: orjson (3.13.0)"}
VULNERABLE = {
    "name": "jinja2",
    "version": "3.1.5",
    "vulns": [{"id": "GHSA-1", "fix_versions": ["3.1.6"]}, {"id": "GHSA-2", "fix_versions": []}],
}


@pytest.mark.parametrize(
    ("packages", "code", "lines"),
    [
        ([SOUND], 0, ["No known vulnerability in 1 packages."]),
        ([SOUND, SKIPPED], 1, ["orjson could not be checked."]),
        ([VULNERABLE, SOUND], 1, ["jinja2 3.1.5: GHSA-1, fixed in 3.1.6", "jinja2 3.1.5: GHSA-2, fixed in none"]),
    ],
)
def test_a_report_becomes_an_exit_code_and_sentences(packages: list[Any], code: int, lines: list[str]) -> None:
    assert judge({"dependencies": packages}) == (code, lines)


@pytest.mark.parametrize("packages", [[], [SKIPPED], [SKIPPED, SKIPPED]])
def test_nothing_checked_is_no_success(packages: list[Any]) -> None:
    code, (line,) = judge({"dependencies": packages})

    assert (code, "nothing was checked" in line) == (2, True)
