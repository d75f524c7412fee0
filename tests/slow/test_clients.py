"""Clients that generators make from the OpenAPI document pass their type checks, and the usual calls work with each.

The commands of the generators are those of `docs/api.md`. The generators for Python are tested where `make clients` has
installed them, the one for TypeScript where Node.js is present.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from course_management import create_app
from course_management.database import db

from ..docs.pages import blocks
from ..support.databases import ROOT, migrate
from ..support.keys import create_key
from ..support.real_server import PATIENT, Server, sqlite
from .environments import clean, run

CLIENTS = ROOT / "tests" / "clients"
GENERATORS = Path(sys.prefix) / "clients" / "bin"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Return the address of a service on an empty database, and an API key."""
    url = sqlite(tmp_path)
    migrate(url)
    with create_app({"DATABASE_URL": url.render_as_string(), "LOG_LEVEL": "error"}).app_context():
        key = create_key("client", ["admin"])
        db.engine.dispose()
    server = Server(tmp_path, url, **PATIENT)
    try:
        server.wait()
        yield f"http://127.0.0.1:{server.port}", key
    finally:
        server.end()


def generate(generator: str, url: str, folder: Path, environment: dict[str, str]) -> None:
    """Run the commands of the API guide that name this generator."""
    pages = [block for block in blocks(ROOT / "docs" / "api.md") if block.language == "console"]
    commands = [command.text for block in pages for command in block.commands() if generator in command.text]
    assert commands
    for command in commands:
        run("sh", "-c", command.replace("http://127.0.0.1:8000", url), cwd=folder, env=environment)


@pytest.mark.parametrize(
    ("generator", "client"),
    [("openapi-python-client", "course-enrollment-client"), ("openapi-generator-cli", "openapi-client")],
)
def test_the_usual_calls_work_with_a_generated_client_for_python(
    generator: str, client: str, service: tuple[str, str], tmp_path: Path
) -> None:
    if not (GENERATORS / generator).exists():
        pytest.skip(f"{generator} is not installed: make clients")
    folder, python = tmp_path / client, GENERATORS / "python"
    environment = clean(
        PATH=f"{GENERATORS}{os.pathsep}{os.environ['PATH']}", PYTHONPATH=str(folder), MYPYPATH=str(folder)
    )
    script = CLIENTS / f"with_{generator.removesuffix('-cli').replace('-', '_')}.py"
    mypy = (python, "-m", "mypy", "--config-file", CLIENTS / "mypy.ini", "--cache-dir", tmp_path / "mypy")

    generate(generator, service[0], tmp_path, environment)

    package = client.replace("-", "_")
    run(python, "-m", "compileall", "-q", package, cwd=folder, env=environment)
    run(*mypy, "--package", package, cwd=tmp_path, env=environment)
    run(*mypy, "--strict", "--follow-imports=silent", script, cwd=tmp_path, env=environment)
    run(python, script, *service, cwd=tmp_path, env=environment)


@pytest.mark.skipif(shutil.which("npm") is None, reason="Node.js with npm is not installed")
def test_the_usual_calls_work_with_a_generated_client_for_typescript(service: tuple[str, str], tmp_path: Path) -> None:
    for name in ("package.json", "package-lock.json", "tsconfig.json", "with_openapi_fetch.ts"):
        shutil.copy(CLIENTS / name, tmp_path)
    run("npm", "ci", "--silent", "--no-audit", "--no-fund", "--prefer-offline", cwd=tmp_path)

    generate("openapi-typescript", service[0], tmp_path, clean())

    run("npx", "tsc", cwd=tmp_path)
    run("node", "with_openapi_fetch.js", *service, cwd=tmp_path)
