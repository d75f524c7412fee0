"""The example of a rule of a school: built, installed beside the service in a new environment, and asked over HTTP."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from sqlalchemy import URL

from ..support.databases import ROOT
from ..support.real_server import Server
from .environments import build_wheel, clean, new, run, without_index

EXAMPLE = ROOT / "docs" / "examples" / "language-courses"
CODE = "one_language_per_term"
ALWAYS = {"opens_at": "2000-01-01T00:00:00Z", "closes_at": "2999-12-31T00:00:00Z"}


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of commands of an environment with the service and the example."""
    folder = tmp_path_factory.mktemp("school")
    service = build_wheel(folder)
    run(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, EXAMPLE,
        cwd=folder, env=without_index(),
    )  # fmt: skip
    [example] = folder.glob("language_courses-*.whl")
    found = new(folder / "venv", "pip")
    run_pip = functools.partial(run, found / "python", "-m", "pip", cwd=folder)
    run_pip("install", "--quiet", "--require-hashes", "-r", ROOT / "requirements.txt")
    run_pip("install", "--quiet", "--no-deps", service, example)
    run_pip("install", "--quiet", "pytest")
    run_pip("check")
    return found


@pytest.fixture
def server(commands: Path, database: URL, tmp_path: Path) -> Iterator[Server]:
    found = Server(tmp_path, database, [str(commands / "course-management"), "serve"])
    try:
        found.wait()
        yield found
    finally:
        found.end()


def test_the_example_passes_its_own_test(commands: Path) -> None:
    assert "4 passed" in run(commands / "python", "-m", "pytest", "-p", "no:cacheprovider", cwd=EXAMPLE)


def test_an_installed_rule_is_listed_asked_and_explained(commands: Path, server: Server, tmp_path: Path) -> None:
    def made(path: str, **body: Any) -> int:
        status, found = server.ask("POST", path, body)
        assert status == 201, found
        return int(found["id"])

    term = made("/terms", code="T", title="Term", starts_on="2000-01-01", ends_on="2999-12-31")
    assert server.ask("PUT", f"/terms/{term}/windows", [ALWAYS])[0] == 200
    student = made("/students", name="Ada", email="ada@example.edu")
    french, spanish = (
        made("/courses", code=code, title=code, term_id=term, catalog_id=made("/catalog", **entry))
        for code, entry in (
            (code, {"code": f"LANG {number}", "title": code, "credits": 3})
            for number, code in enumerate(("French", "Spanish"), start=1)
        )
    )
    url = server.environment["DATABASE_URL"]

    check = f"{commands / 'course-management'} check || true"  # there is no key, which is unsafe
    checked = run("sh", "-c", check, cwd=tmp_path, env=clean(DATABASE_URL=url))
    both = server.ask("POST", f"/students/{student}/enroll", {"course_ids": [french, spanish]})
    one = server.ask("POST", f"/students/{student}/enroll", {"course_id": french})
    swapped = server.ask("POST", f"/students/{student}/enroll", {"course_ids": [spanish], "instead_of": [french]})
    other = server.ask("POST", f"/students/{student}/enroll", {"course_id": french})
    with urlopen(f"http://127.0.0.1:{server.port}/problems/{CODE.replace('_', '-')}") as response:
        page = response.status
    _, document = server.ask("GET", "/openapi.json")

    assert f"rule    {CODE} (language-courses 1.0.0)" in checked.splitlines()
    assert [each["reasons"][0]["course_ids"] for each in both[1]["decisions"]] == [[spanish], [french]]
    assert (one[0], swapped[0], other[0], page) == (201, 201, 409, 200)
    assert other[1]["decisions"][0]["reasons"][0]["code"] == CODE
    assert CODE in document["components"]["schemas"]["ReasonDetails"]["properties"]["code"]["description"]
    permission = {"course_id": french, "rule": CODE, "reason": "Bilingual"}
    assert server.ask("POST", f"/students/{student}/permissions", permission)[0] == 201
    assert server.ask("POST", f"/students/{student}/enroll", {"course_id": french})[0] == 201
