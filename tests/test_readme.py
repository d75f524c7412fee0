"""The documentation is true: every command, route, setting and link it names exists, every example answers so."""

from __future__ import annotations

import argparse
import configparser
import json
import re
import shlex
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import URL

from course_management import cli, demo, environment
from course_management.config import Settings

from .databases import ROOT, migrate

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
    parser.add_argument("--json")
    parser.add_argument("url", type=lambda url: url.removeprefix("http://127.0.0.1:8000"))
    curl = parser.parse_args(shlex.split(command)[1:])
    method = "POST" if "--json" in command else curl.X
    headers = [*curl.H, ("Content-Type", "application/json")] if "--json" in command else curl.H
    return client.open(curl.url, method=method, headers=headers, data=curl.d or curl.json)


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


def production(*languages: str) -> list[str]:
    """The code blocks in the section about production, in order."""
    section = README[README.index("## Running in production") : README.index("## Speed")]
    return [
        textwrap.dedent(text)
        for language, text in re.findall(r"```(\w*)\n(.*?)```", section, re.DOTALL)
        if language in languages
    ]


def test_the_steps_to_production_work_in_their_order(
    app: Flask, database: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database.render_as_string(hide_password=False))
    client, key = app.test_client(), ""
    done: list[str] = []

    for command in re.findall(r"^\$ (.*)$", "".join(production("console")), re.MULTILINE):
        _, *arguments = shlex.split(command)
        if "course-management people" in command:
            arguments += ["--issuer", "https://login.example.edu"]  # which `.env` names by now
        if command.startswith(".venv/bin/course-management ") and not (arguments == ["check"] and "people" in done):
            result = CliRunner().invoke(cli.cli, arguments)
            assert result.exit_code == 0, (command, result.output)
            key = result.stdout.strip() if arguments[:2] == ["keys", "create"] else key
            done.append(arguments[0])
        elif command.startswith("curl ") and "eyJ" not in command:
            answer = run(client, command.replace("$KEY", f"Authorization: Bearer {key}"))
            assert answer.status_code < 400, (command, answer.text)
            done.append("curl")

    assert done == ["migrate", "status", "keys", "check", *["curl"] * 4, "people", "people", "promote"]


def test_the_settings_for_production_are_settings(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("".join(production("")[:2]))

    file = environment.read(tmp_path / "env")
    settings = Settings.load(environ=file.values)

    assert file.problems == []
    assert settings.database_url.query["sslmode"] == "verify-full"
    assert settings.oidc_audience


def test_the_unit_for_systemd_starts_the_service_and_gives_up_on_wrong_settings() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's names have capitals
    unit.read_string("".join(production("ini")))

    program, *arguments = unit["Service"]["ExecStart"].split()

    assert (Path(program).name, arguments) == ("course-management", ["serve"])
    assert program.startswith(unit["Service"]["WorkingDirectory"])
    assert unit["Service"]["RestartPreventExitStatus"] == "2"  # as `course-management --help` says


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


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="SQLite's own program is not installed")
def test_a_backup_made_as_the_documentation_says_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    url = URL.create("sqlite", database=str(tmp_path / "course_management.db"))
    migrate(url)
    lines = re.findall(r"^\$ ((?:umask|sqlite3) .*)$", (ROOT / "docs" / "backup.md").read_text(), re.MULTILINE)

    subprocess.run(["bash", "-ec", "\n".join(lines)], cwd=tmp_path, umask=0, check=True)  # noqa: S603, S607 - ours

    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
