"""Which parts of the package may import which: one row per rule, direct imports only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import course_management

PACKAGE = Path(course_management.__file__).parent
OURS = frozenset(
    f".{each.stem}" for each in PACKAGE.iterdir() if each.suffix == ".py" or (each / "__init__.py").is_file()
)
PARTS = {".api", ".access", ".services", ".repositories", ".models"}
RULES = [
    # part (a folder or a module)   parts (with a dot) or libraries that it must not import
    ("services", {"flask", "werkzeug", ".http", ".api", ".access", ".schemas", ".app", ".web"}),
    ("repositories", {"flask", "werkzeug", ".http", ".api", ".access", ".schemas", ".services", ".app"}),
    ("models", OURS - {".database", ".models"}),
    ("api", {".app", ".background", ".cli", ".server", ".web"}),
    ("web", {".api", ".app", ".background", ".cli", ".models", ".server"}),
    ("access", {".http", ".api", ".schemas", ".app", ".background", ".cli", ".server"}),
    ("schemas", {"flask", "werkzeug", ".http", ".api", ".repositories", ".app"}),
    ("http", PARTS | {".schemas", ".app"}),
    ("background", {"flask", ".http", ".api", ".access", ".schemas", ".app", ".cli", ".server"}),
    ("transfer", {"flask", ".models", ".http", ".api", ".access", ".app", ".cli", ".server", ".background"}),
    ("cli", {"flask", ".http", ".api", ".schemas"}),
    ("database", PARTS | {".http"}),
    ("errors", OURS - {".errors"}),
    ("config", OURS - {".database_hosts", ".environment", ".network_addresses", ".urls"}),
    ("context", OURS | {"flask"}),
    ("server", PARTS | {".http", ".app", "flask"}),
    ("metrics", PARTS | {".http", ".app", ".background", ".cli", "flask"}),
    ("circuit_breaker", {".api", ".http", ".database", "flask"}),
    ("log_output", OURS - {".context"} | {"flask", "structlog"}),
]


def imports_of(path: Path) -> Iterator[str]:
    """Yield what a file imports: libraries by their names, modules and names of the package with a dot in front."""
    parents = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name.removeprefix(PACKAGE.name) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                module = [".".join(["", *parents[: len(parents) - node.level + 1]]), *filter(None, [node.module])]
            else:
                module = [str(node.module).removeprefix(PACKAGE.name)]
            yield from (".".join([*module, each.name]) for each in node.names)


def broken(part: str, forbidden: set[str]) -> list[str]:
    """Return the forbidden imports of a part, with their files."""
    files = [*(PACKAGE / part).rglob("*.py")] or [PACKAGE / f"{part}.py"]
    return [
        f"{file.relative_to(PACKAGE)} imports {name}"
        for file in files
        for name in imports_of(file)
        if re.split(r"(?<=\w)\.", name)[0] in forbidden
    ]


@pytest.mark.parametrize(("part", "forbidden"), RULES, ids=[part for part, _ in RULES])
def test_a_part_imports_nothing_that_its_rule_forbids(part: str, forbidden: set[str]) -> None:
    assert broken(part, forbidden) == []


def test_only_the_app_imports_the_routes() -> None:
    importing = {line.partition(" ")[0] for line in broken("", {".api", ".web"})}
    assert {each for each in importing if not each.startswith(("api/", "web/"))} == {"app.py"}


def test_a_forbidden_import_is_found() -> None:
    found = broken("app", {"flask", ".config", ".api", "http"})
    assert found == [
        f"app.py imports {name}" for name in ("flask.Flask", ".api", ".config.ConfigurationError", ".config.Settings")
    ]


def test_the_standard_library_is_not_taken_for_a_part_of_the_same_name() -> None:
    assert broken("http/openapi", {"http"}) == ["http/openapi.py imports http.HTTPStatus"]
