"""Which parts of the package may import which: one row per rule, direct imports only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import course_management

PACKAGE = Path(course_management.__file__).parent
RULES = [
    # part (a folder or a module)   parts or libraries that it must not import
    ("server", {"api", "http", "app", "flask", "services", "repositories", "models"}),
    ("circuit_breaker", {"api", "http", "database", "flask"}),
    ("log_output", {"api", "http", "database", "config", "flask", "structlog"}),
]


def imports_of(path: Path) -> Iterator[str]:
    """Yield the imported modules, and the names imported from packages, as paths inside the package or libraries."""
    parents = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = [*parents[: len(parents) - node.level + 1], *filter(None, (node.module or "").split("."))]
            yield from (".".join([*base, each.name]) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def broken(part: str, forbidden: set[str]) -> list[str]:
    """Return the forbidden imports of a part, with their files."""
    files = [*(PACKAGE / part).rglob("*.py")] or [PACKAGE / f"{part}.py"]
    return [
        f"{file.relative_to(PACKAGE)} imports {name}"
        for file in files
        for name in imports_of(file)
        if name.removeprefix("course_management.").split(".")[0] in forbidden
    ]


@pytest.mark.parametrize(("part", "forbidden"), RULES, ids=[part for part, _ in RULES])
def test_a_part_imports_nothing_that_its_rule_forbids(part: str, forbidden: set[str]) -> None:
    assert broken(part, forbidden) == []


def test_a_forbidden_import_is_found() -> None:
    assert {"app.py imports flask", "app.py imports config.Settings"} <= {*broken("app", {"flask", "config"})}
