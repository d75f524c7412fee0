"""The traces of an enrollment request in docs/architecture.md are those that benchmarks/trace.py finds."""

from __future__ import annotations

import re
import runpy
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from ..support.databases import ROOT
from ..support.grouping import MODE

PAGE = ROOT / "docs" / "architecture.md"
DRAW_AGAIN = (
    "Draw in docs/architecture.md what `python benchmarks/trace.py` prints; with --term, that of a course of a term."
)
BY_SEATS, BY_RULES = "## One enroll, from the request to the row", "## One enroll by the rules of registration"


@pytest.fixture
def trace(backend: str, make_app: Callable[..., Flask]) -> Callable[..., tuple[list[str], str]]:
    """Trace an enrollment request: the lines to draw, and the totals."""
    if backend != "sqlite":
        pytest.skip("the trace is drawn on SQLite")
    if MODE == "always":
        pytest.skip("the trace is that of a request without a group")
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "trace.py"))

    def traced(**options: Any) -> tuple[list[str], str]:
        jumps = benchmark["trace_enroll"](make_app(log_level="info", log_format="json"), **options)
        jumps = [jump for jump in jumps if jump.function != "<lambda>"]  # a logger is made for each line in tests
        whole, row = benchmark["totals"](jumps), benchmark["totals"](benchmark["to_the_row"](jumps))
        return [str(jump) for jump in benchmark["drawn"](jumps)], f"{row} to the row, {whole} to the end"

    return traced


def shown(heading: str) -> tuple[list[str], str]:
    """Return the calls that the first drawing below a heading of the page shows, and the text of the section."""
    section = PAGE.read_text().partition(heading)[2].partition("\n## ")[0]
    drawing = section.partition("```text")[2].partition("```")[0]
    return re.findall(r"^( *\S+\.py \w+)", drawing, re.MULTILINE), section


def test_the_trace_in_the_documentation_is_that_of_an_enroll(trace: Callable[..., tuple[list[str], str]]) -> None:
    calls, section = shown(BY_SEATS)

    lines, totals = trace()

    assert calls == lines, DRAW_AGAIN
    assert totals in " ".join(section.split()), f"Write into docs/architecture.md: {totals}."


def test_the_trace_by_rules_in_the_documentation_is_that_of_an_enroll_in_a_course_of_a_term(
    trace: Callable[..., tuple[list[str], str]],
) -> None:
    """It shows what `_enroll_once` calls; the lines before and after are those of the other trace."""
    calls, section = shown(BY_RULES)
    around, _ = shown(BY_SEATS)
    first = next(index for index, line in enumerate(around) if line.endswith("_enroll_once"))
    last = next(index for index, line in enumerate(around) if line.endswith("_promote_after"))

    lines, totals = trace(in_term=True)

    indented = textwrap.indent("\n".join(calls), " " * (len(around[first]) - len(around[first].lstrip())))
    assert [*around[:first], *indented.splitlines(), *around[last:]] == lines, DRAW_AGAIN
    assert totals in " ".join(section.split()), f"Write into docs/architecture.md: {totals}."
