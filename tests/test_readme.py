"""The documentation is true: every command, route, setting and link it names exists, every example answers so."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from course_management import cli, demo
from course_management.config import Settings

from .databases import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
README = (ROOT / "README.md").read_text()


def examples() -> list[tuple[str, Any]]:
    """Every curl of the README that shows its answer, in order, with the answer."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for command, output in re.findall(r"^\$ (curl .*)\n((?:[^$\n].*\n)+)", block, re.MULTILINE):
            found.append((command, json.loads(output)))
    return found


def run(client: Any, command: str) -> Any:
    """What the app answers to a curl command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-X", default="GET")
    parser.add_argument("-H", type=lambda text: text.split(": "), action="append", default=[])
    parser.add_argument("-d")
    parser.add_argument("url", type=lambda url: url.removeprefix("http://127.0.0.1:8000"))
    curl = parser.parse_args(shlex.split(command)[1:])
    return client.open(curl.url, method=curl.X, headers=curl.H, data=curl.d)


def forget(body: Any) -> Any:
    """The body without what differs each time."""
    if isinstance(body, dict):
        return {key: forget(value) for key, value in body.items() if key not in {"request_id", "status_since"}}
    return [forget(each) for each in body] if isinstance(body, list) else body


def test_every_example_of_the_readme_answers_as_shown(app: Flask) -> None:
    with app.app_context():
        demo.make()
    client = app.test_client()

    shown = examples()

    assert len(shown) == 6
    for command, answer in shown:
        assert forget(run(client, command).get_json()) == forget(answer), command


def test_the_banner_of_the_readme_is_the_one_that_is_printed(app: Flask) -> None:
    with app.app_context():
        made = demo.make()
        pair = demo.example_call()

    assert f"Demo data: {made}." in README
    assert pair == (1, 1)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_link_of_a_page_exists(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"(?:`|\$ )(?:[A-Z_]+=\S+ )*make ([a-z-]+)", text)) <= targets
    assert set(re.findall(r"course-management ([a-z]+)", text)) <= set(cli.cli.commands)
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http")]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_route_of_the_readme_exists_and_every_route_is_in_it(app: Flask) -> None:
    named = {
        (method, path.split("?")[0])
        for method, path in re.findall(r"\b(GET|POST|PUT|PATCH|DELETE) (/[^\s`,;?]*)", README)
    }
    routes = {
        (method, re.sub(r"<[^>]*>", "{id}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    named = {(method, path.replace("{code}", "{id}")) for method, path in named}

    assert named <= routes
    assert routes - named <= {("GET", "/"), ("GET", "/docs/"), ("GET", "/docs/{id}"), ("GET", "/problems")}


def test_every_setting_of_the_readme_exists() -> None:
    named = set(re.findall(r"`([A-Z][A-Z_]{3,})`", README)) | set(re.findall(r"\b([A-Z_]{4,})=", README))

    assert {name.lower() for name in named} - {"test_database_url"} <= set(Settings.__dataclass_fields__)


def test_every_file_of_the_map_exists() -> None:
    block = re.search(r"## Map of the code\n\n```\n(.*?)```", README, re.DOTALL)
    assert block is not None
    folder = ""
    for line in block[1].splitlines():
        names = re.split(r"\s{2,}", line.strip())[0]
        if not line.startswith(" "):
            folder = names
        for name in names.split(", "):
            places = [ROOT / name, ROOT / folder / name, ROOT / folder / "services" / name]
            assert any(place.exists() for place in places), name
