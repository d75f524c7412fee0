"""The trace of one enroll in docs/architecture.md is the one that benchmarks/trace.py finds."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable

import pytest
from flask import Flask

from ..databases import ROOT

PAGE = ROOT / "docs" / "architecture.md"


@pytest.fixture
def _on_sqlite(backend: str) -> None:
    if backend != "sqlite":
        pytest.skip("the trace is drawn on SQLite")


@pytest.mark.usefixtures("_on_sqlite")
def test_the_trace_in_the_documentation_is_that_of_an_enroll(make_app: Callable[..., Flask]) -> None:
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "trace.py"))
    section = PAGE.read_text().partition("## One enroll, from the request to the row")[2]
    drawn = re.findall(r"^( *\S+\.py \w+)", section.partition("```text")[2].partition("```")[0], re.MULTILINE)

    found = benchmark["trace_enroll"](make_app(log_level="info", log_format="json"))
    jumps = [jump for jump in found if jump.file != "logs.py"]  # the tests' loggers are made anew for each line

    assert drawn == [str(jump) for jump in jumps]
    assert f"{len({jump.file for jump in jumps})} files, {len(jumps)} jumps" in section
