"""Which parts of the package may import which: the table of layers in docs/architecture.md. Direct imports only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import course_management

PACKAGE = Path(course_management.__file__).parent
PARTS = {
    path.stem
    for path in PACKAGE.iterdir()
    if (path.suffix == ".py" and path.name != "__init__.py") or (path / "__init__.py").is_file()
}
"""The folders and modules of the package."""
LIBRARIES = {"apispec", "flask", "marshmallow", "sqlalchemy", "structlog", "werkzeug"}
"""Libraries that not every layer may import."""


class Layer(NamedTuple):
    """Parts of the package, and all that they may import: parts of other layers, and some of `LIBRARIES`.

    They may import each other only if the layer names itself.
    """

    name: str
    parts: str
    layers: str
    libraries: str

    @property
    def allowed(self) -> set[str]:
        """The parts and libraries that this layer may import."""
        layers = self.layers.split()
        return {part for layer in LAYERS if layer.name in layers for part in layer.parts.split()} | {
            *self.libraries.split()
        }


LAYERS = [
    Layer(
        "commands",
        "__main__ cli",
        "commands application maintenance background server transfer schemas access services repositories models logs "
        "log_output metrics database settings values",
        "marshmallow sqlalchemy",
    ),
    Layer(
        "application",
        "app",
        "routes pages background server http access services logs metrics database settings",
        "flask sqlalchemy structlog",
    ),
    Layer(
        "routes",
        "api",
        "bodies http transfer schemas access services repositories models metrics database values",
        "flask marshmallow sqlalchemy werkzeug",
    ),
    Layer(
        "pages",
        "web",
        "bodies maintenance http transfer schemas access services repositories database settings values",
        "flask marshmallow sqlalchemy werkzeug",
    ),
    Layer(
        "background",
        "background",
        "maintenance services repositories models logs metrics database settings values",
        "sqlalchemy structlog",
    ),
    Layer(
        "maintenance",
        "maintenance",
        "schemas access services repositories models database settings values",
        "sqlalchemy structlog",
    ),
    Layer("transfer", "transfer", "schemas services repositories database values", "marshmallow sqlalchemy"),
    Layer("schemas", "schemas", "access services models database values", "marshmallow"),
    Layer(
        "http",
        "http",
        "logs metrics database settings values",
        "apispec flask marshmallow sqlalchemy structlog werkzeug",
    ),
    Layer("access", "access", "services models database settings values", "flask sqlalchemy structlog"),
    Layer(
        "services",
        "rules services",
        "services repositories models log_output metrics database values",
        "sqlalchemy structlog",
    ),
    Layer("repositories", "repositories", "models database values", "sqlalchemy"),
    Layer("models", "models", "database", "sqlalchemy"),
    Layer("server", "server", "bodies log_output metrics database settings values", "structlog"),
    Layer("logs", "logs", "log_output metrics settings", "structlog"),
    Layer("bodies", "spooled_body", "database settings", ""),
    Layer("metrics", "metrics", "database settings values", ""),
    Layer("database", "database", "settings values", "flask sqlalchemy structlog"),
    Layer("log_output", "log_output", "values", ""),
    Layer("settings", "config database_urls environment network_addresses urls", "settings", "sqlalchemy"),
    Layer("values", "circuit_breaker context errors threads", "", "structlog"),
]
"""From top to bottom."""


def imports_of(file: Path, package: Path = PACKAGE) -> Iterator[str]:
    """Yield the parts of the package, with a dot before their names, and the libraries that a file imports."""
    folder = file.relative_to(package).parts[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module).partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            above = folder[: len(folder) - node.level + 1]
            module = str(node.module).split(".") if node.module else []
            for alias in node.names:
                part = [*above, *module, alias.name][0]
                yield f".{part}" if part in PARTS else package.name


def imports_of_part(part: str) -> set[str]:
    """Return the other parts, and those of `LIBRARIES`, that a part of the package imports."""
    files = [*(PACKAGE / part).rglob("*.py")] or [PACKAGE / f"{part}.py"]
    imports = {name for file in files for name in imports_of(file)}
    return (imports & LIBRARIES) | {name.removeprefix(".") for name in imports if name.startswith(".")} - {part}


def table() -> str:
    """Return the layers as a table in Markdown."""
    lines = ["| layer | parts | may import | libraries |", "| --- | --- | --- | --- |"]
    for layer in LAYERS:
        parts, layers, libraries = (", ".join(names.split()) for names in (layer.parts, layer.layers, layer.libraries))
        lines.append(f"| **{layer.name}** | {parts} | {layers} | {libraries} |")
    return "\n".join(lines)


@pytest.mark.parametrize("layer", LAYERS, ids=[layer.name for layer in LAYERS])
def test_a_part_imports_only_what_its_layer_allows(layer: Layer) -> None:
    forbidden = {part: imports_of_part(part) - layer.allowed for part in layer.parts.split()}

    assert not any(forbidden.values()), (
        f"Move the code, or change the row {layer.name} of LAYERS in tests/test_layers.py."
    )


@pytest.mark.parametrize("layer", LAYERS, ids=[layer.name for layer in LAYERS])
def test_what_a_layer_allows_is_imported(layer: Layer) -> None:
    imported = {name for part in layer.parts.split() for name in imports_of_part(part)}
    used = {other.name for other in LAYERS if imported.intersection(other.parts.split())}

    unused = (set(layer.layers.split()) - used) | (set(layer.libraries.split()) - imported)
    assert unused == set(), f"Remove them from the row {layer.name} of LAYERS in tests/test_layers.py."


def test_a_layer_imports_only_layers_below_it() -> None:
    names = [layer.name for layer in LAYERS]

    upward = {layer.name: {*layer.layers.split()} - {*names[index:]} for index, layer in enumerate(LAYERS)}

    assert {name: layers for name, layers in upward.items() if layers} == {}


def test_every_part_of_the_package_is_in_one_layer() -> None:
    assert sorted(part for layer in LAYERS for part in layer.parts.split()) == sorted(PARTS)


def test_imports_are_found_in_each_form(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "api").mkdir(parents=True)
    file = package / "api" / "enroll.py"
    file.write_text(
        "import http\nimport flask.json\nfrom werkzeug.http import parse_date\n"
        "from . import courses\nfrom .courses import COURSES\nfrom .. import __version__, models\n"
        "from ..services.enrollment import enroll\n\ndef late() -> None:\n    from ..database import db\n"
    )

    assert [*imports_of(file, package)] == [
        *("http", "flask", "werkzeug", ".api", ".api", "package", ".models", ".services", ".database")
    ]
