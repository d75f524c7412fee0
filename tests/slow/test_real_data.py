"""Enrollments, prerequisites and timetables of real schools, by the scripts in `benchmarks/`, which check themselves.

Run with `TEST_DATA=/path/to/data`, the folder with `toronto/*.stu` and `uiuc/*.csv`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from ..support.databases import ROOT
from ..support.real_server import PATIENT, Server
from ..transfer.reading import real
from .environments import run


@pytest.fixture
def url(tmp_path: Path, database: URL) -> Iterator[str]:
    """Return the URL of a running service with an empty database."""
    server = Server(tmp_path, database, LOG_LEVEL="warning", **PATIENT)
    try:
        server.wait()
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.end()


def test_real_enrollments_get_exactly_what_a_timetable_and_a_credit_limit_allow(url: str, tmp_path: Path) -> None:
    students = real("toronto/yor-f-83.stu").read_text().splitlines(keepends=True)[:300]
    file, report = tmp_path / "small.stu", tmp_path / "figures.json"
    file.write_text("".join(students))

    options = ("--threads", "16", "--timetable", "--seed", "7", "--json", report)
    run(sys.executable, "benchmarks/replay.py", file, "--url", url, *options, cwd=ROOT)

    found = json.loads(report.read_text())
    assert (found["enrollments"], found["failures"]) == (2_177, 0)
    assert (found["refused_for_conflicts"], found["refused_for_credits"]) == (331, 708)


def test_real_prerequisites_and_sections_are_found_to_be_as_a_brute_force_says(url: str) -> None:
    printed = run(sys.executable, "benchmarks/university.py", real("uiuc"), "--url", url, "--threads", "8", cwd=ROOT)

    # All entries out of reach could be taken in the same term with those that they require.
    assert re.findall(r"^(.+): ([0-9,]+)$", printed, re.MULTILINE)[:13] == [
        ("prerequisites", "4,949"),
        ("prerequisites loaded", "4,929"),
        ("left out: An entry cannot require itself.", "13"),
        ("left out: Must not repeat an entry or a group.", "7"),
        ("entries", "3,108"),
        ("pairs that require each other", "40"),
        ("out of reach", "0"),
        ("out of reach, one term after the other", "51"),
        ("out of reach, one term after the other, with those that require themselves", "64"),
        ("usable timetables", "357"),
        ("weekly meetings", "1,011"),
        ("pairs of sections", "63,546"),
        ("conflicts", "17,258"),
    ]
