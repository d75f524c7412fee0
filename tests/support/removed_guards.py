"""Modules of the package with a guard removed, within this process; `tests/proof/mutants.py` mutates the whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from course_management.models import triggers

Edit = tuple[str, str]
"""A piece of text, and the one in its place."""
TERM_OF_SEATS_STATEMENT: Edit = (
    "and_(course.c.term_id.is_(None), course.c.closed_at.is_(None))",
    "course.c.closed_at.is_(None)",
)
"""Lets the statement for courses without a term (`ENROLL_BY_SEATS`) take students into courses of a term."""


def mutant(module: ModuleType, *edits: Edit) -> Any:
    """Return a copy of a module with these edits. Raises `LookupError` for a text that is not in it exactly once."""
    source = edited(Path(str(module.__file__)).read_text(), edits)
    copy = ModuleType(module.__name__)
    copy.__package__, copy.__file__ = module.__package__, module.__file__
    exec(compile(source, str(module.__file__), "exec"), vars(copy))  # noqa: S102 - our own source
    return copy


def edited(source: str, edits: Sequence[Edit]) -> str:
    """Return a text with these edits."""
    for guard, instead in edits:
        if source.count(guard) != 1:
            raise LookupError(f"{guard!r} is not there exactly once: write here what the guard looks like now")
        source = source.replace(guard, instead)
    return source


def without_revision(backend: str) -> list[str]:
    """Return the statements after which no change of an enrollment raises the schedule revision."""
    guard = ("term_id IS NOT NULL", "false")
    if backend == "postgresql":
        functions = [each for each in triggers.POSTGRESQL if guard[0] in each and "FUNCTION record_" in each]
        return [edited(each, [guard]).replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION") for each in functions]
    names = ("student_courses_inserted", "student_courses_updated")
    created = [each for name in names for each in triggers.SQLITE if f"CREATE TRIGGER {name}" in each]
    return [*(f"DROP TRIGGER {name}" for name in names), *(edited(each, [guard]) for each in created)]
