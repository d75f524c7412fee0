"""The keys of services: made, shown once, used, rotated, expired, revoked."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient

from course_management import cli
from course_management.access import authentication, keys
from course_management.database.types import utcnow

from ..support.databases import PATIENCE_S
from ..support.fixture_types import Sql
from ..support.keys import create_key

Command = Callable[..., Result]


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make authentication remember no caller from one request to the next."""
    monkeypatch.setattr(authentication, "FRESH_S", 0)


@pytest.fixture
def command(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command line on the test's database."""
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url)
    return lambda *arguments: CliRunner().invoke(cli.cli, arguments)


def status(client: FlaskClient, key: str, path: str = "/courses") -> int:
    return client.get(path, headers={"Authorization": f"Bearer {key}"}).status_code


def test_a_key_has_a_form_that_a_scanner_can_find(app: Flask) -> None:
    with app.app_context():
        key = create_key("portal", ["courses:read"])
    assert re.fullmatch(r"cmk_[0-9A-Za-z]{54}", key)


def test_of_the_secret_only_a_digest_is_kept(app: Flask, sql: Sql) -> None:
    with app.app_context():
        key = create_key("portal", ["courses:read"])
    (row,) = sql("SELECT * FROM api_keys")
    assert key[12:52] not in str(row)


@pytest.mark.parametrize(
    "change",
    [
        lambda key: key[:-1],
        lambda key: key + "a",
        lambda key: key.swapcase(),
        lambda key: key[:20] + ("a" if key[20] != "a" else "b") + key[21:],
        lambda key: key[:-1] + ("a" if key[-1] != "a" else "b"),
        lambda _: "cmk_" + "é" * 54,
        lambda _: "cmk_",
        lambda _: "cmk_" + "x" * 100_000,
    ],
)
def test_a_changed_key_is_invalid(stranger: FlaskClient, make_key: Any, change: Callable[[str], str]) -> None:
    key = make_key("courses:read")
    assert status(stranger, key) == 200

    response = stranger.get("/courses", headers={"Authorization": f"Bearer {change(key)}"})

    assert (response.status_code, response.get_json()["code"]) == (401, "unauthenticated")
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


def test_a_key_with_a_valid_checksum_and_another_secret_is_invalid(stranger: FlaskClient, make_key: Any) -> None:
    key = make_key("courses:read")
    body = key[:12] + "x" * 40

    assert status(stranger, body + keys._checksum(body)) == 401  # noqa: SLF001 - what a forger can compute


def test_a_mistyped_key_does_not_reach_the_database(
    stranger: FlaskClient, make_key: Any, statements: list[str]
) -> None:
    key = make_key("courses:read")
    statements.clear()

    assert status(stranger, key[:-1] + ("a" if key[-1] != "a" else "b")) == 401
    assert statements == []


def test_without_an_issuer_a_token_is_no_credential(make_app: Callable[..., Flask], session_issuer: Any) -> None:
    app = make_app()
    with app.app_context():
        create_key("portal", ["admin"])

    response = app.test_client().get("/courses", headers={"Authorization": f"Bearer {session_issuer.token()}"})

    assert (response.status_code, "no issuer" in response.get_json()["detail"]) == (401, True)


@pytest.mark.usefixtures("forgetful")
def test_a_key_ends_at_its_time(app: Flask, stranger: FlaskClient, sql: Sql) -> None:
    with app.app_context():
        key = create_key("portal", ["courses:read"], utcnow() + timedelta(hours=1))
    assert status(stranger, key) == 200

    sql("UPDATE api_keys SET expires_at = '2020-01-01 00:00:00+00'")

    assert status(stranger, key) == 401


def test_a_caller_is_remembered_for_a_moment(
    app: Flask, stranger: FlaskClient, make_key: Any, statements: list[str]
) -> None:
    key = make_key("courses:read")
    status(stranger, key)
    assert app.extensions["authentication"].key_use.idle.wait(PATIENCE_S)
    statements.clear()

    assert status(stranger, key) == 200
    assert len(statements) == 1


@pytest.mark.usefixtures("forgetful")
def test_a_registrar_creates_changes_and_revokes_keys_but_gives_none_the_scope_admin(
    client: FlaskClient, stranger: FlaskClient, person: Callable[..., dict[str, str]]
) -> None:
    registrar = person("registrar")
    (admin,) = client.get("/keys?name=test").get_json()["items"]

    created = stranger.post("/keys", json={"name": "portal", "scopes": ["students:write"]}, headers=registrar)
    refused = stranger.post("/keys", json={"name": "portal", "scopes": ["admin"]}, headers=registrar)
    prolonged = stranger.patch(f"/keys/{admin['id']}", json={"expires_at": None}, headers=registrar)

    assert created.status_code == 201
    for response in (refused, prolonged):
        assert (response.status_code, response.get_json()["code"]) == (403, "forbidden")
        assert "do not have: admin" in response.get_json()["detail"]
    assert stranger.delete(f"/keys/{admin['id']}", headers=registrar).status_code == 204
    assert client.get("/courses").status_code == 401


@pytest.mark.usefixtures("forgetful")
class TestOnTheCommandLine:
    def test_create_rotate_revoke(self, command: Command, stranger: FlaskClient) -> None:
        made = command("keys", "create", "--name", "portal", "--scope", "courses:read", "--scope", "courses:write")
        old = made.stdout.strip()
        assert "cannot be shown again" in made.stderr
        assert status(stranger, old) == 200

        new = command(
            "keys", "create", "--name", "portal", "--scope", "courses:read", "--expires", "90d"
        ).stdout.strip()
        assert (status(stranger, old), status(stranger, new)) == (200, 200)
        third = command("keys", "create", "--name", "portal", "--scope", "courses:read")
        assert (third.exit_code, "Revoke one first" in third.output) == (1, True)

        assert command("keys", "revoke", old[4:12]).exit_code == 0
        assert (status(stranger, old), status(stranger, new)) == (401, 200)
        assert command("keys", "create", "--name", "portal", "--scope", "courses:read").exit_code == 0

        listed = command("keys", "list").stdout.splitlines()
        assert re.match(rf"{old[4:12]}  portal +revoked 20..-..-.. +used 20.* courses:read courses:write", listed[0])
        assert re.match(rf"{new[4:12]}  portal +until 20", listed[1])
        assert old[12:] not in "".join(listed)

    def test_a_key_of_a_secret_file_is_registered_once_and_not_again_after_its_end(
        self, command: Command, stranger: FlaskClient, sql: Any, tmp_path: Path
    ) -> None:
        file = tmp_path / "admin.key"
        file.write_text(command("keys", "generate").stdout)
        assert sql("SELECT count(*) FROM api_keys") == [(0,)]
        register = ("keys", "register", "--name", "admin", "--scope", "admin", str(file))
        secret = file.read_text().strip()

        first, second = command(*register), command(*register)

        assert (first.output, second.output) == (
            f"Registered {secret[4:12]}.\n",
            f"Already registered: {secret[4:12]}.\n",
        )
        assert status(stranger, secret) == 200
        assert sql("SELECT count(*) FROM api_keys") == [(1,)]
        command("keys", "revoke", secret)
        after = command(*register)
        assert (after.exit_code, "has expired or is revoked" in after.output) == (1, True)
        assert status(stranger, secret) == 401

    @pytest.mark.parametrize("text", ["", "secret", "cmk_" + "a" * 54])
    def test_a_file_without_a_generated_key_registers_nothing(
        self, command: Command, sql: Any, tmp_path: Path, text: str
    ) -> None:
        file = tmp_path / "admin.key"
        file.write_text(text)

        result = command("keys", "register", "--name", "admin", "--scope", "admin", str(file))

        assert (result.exit_code, "keys generate" in result.output) == (1, True)
        assert sql("SELECT count(*) FROM api_keys") == [(0,)]

    @pytest.mark.parametrize("writable", [False, True])
    def test_a_key_that_could_not_be_printed_is_revoked(
        self, command: Command, sql: Sql, monkeypatch: pytest.MonkeyPatch, writable: bool
    ) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise BrokenPipeError

        if not writable:
            monkeypatch.setattr(click, "echo", fail)
        result = command("keys", "create", "--name", "portal", "--scope", "courses:read")

        assert isinstance(result.exception, BrokenPipeError) is not writable
        assert sql("SELECT revoked_at IS NULL FROM api_keys WHERE name = 'portal'") == [(writable,)]

    def test_what_is_not_there_is_not_revoked(self, command: Command) -> None:
        result = command("keys", "revoke", "aaaaaaaa")
        assert (result.exit_code, result.output) == (
            1,
            "Error: There is no active key aaaaaaaa. Run `course-management keys list`.\n",
        )

    def test_an_expired_key_is_listed_as_such(self, command: Command, make_key: Any, sql: Sql) -> None:
        make_key("courses:read")
        sql("UPDATE api_keys SET expires_at = '2020-01-01 00:00:00+00'")
        assert "expired 2020-01-01" in command("keys", "list").stdout

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--name", "portal"),
            ("--scope", "courses:read"),
            ("--name", "por tal", "--scope", "courses:read"),
            ("--name", "", "--scope", "courses:read"),
            ("--name", "x" * 51, "--scope", "courses:read"),
            ("--name", "portal", "--scope", "everything"),
            ("--name", "portal", "--scope", "courses:read", "--expires", "soon"),
            ("--name", "portal", "--scope", "courses:read", "--expires", "2020-01-01"),
            ("--name", "portal", "--scope", "courses:read", "--expires", "99999w"),
        ],
    )
    def test_what_makes_no_sense_is_a_sentence(self, command: Command, arguments: tuple[str, ...]) -> None:
        result = command("keys", "create", *arguments)
        assert result.exit_code == 2
        assert "Error" in result.output

    @pytest.mark.parametrize("moment", ["2099-01-31", "2099-01-31T12:00:00+02:00", "12h", "52w"])
    def test_when_a_key_may_end(self, command: Command, moment: str) -> None:
        result = command("keys", "create", "--name", "portal", "--scope", "admin", "--expires", moment)
        assert result.exit_code == 0


class TestPeople:
    """`course-management people`; what they may, the tests of the table say."""

    def test_a_life(self, command: Command, student: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OIDC_ISSUER", "https://login.example.edu")
        monkeypatch.setenv("OIDC_AUDIENCE", "courses")
        monkeypatch.setenv("OIDC_JWKS_URL", "https://login.example.edu/jwks")
        ada, alan = student(), student()

        def run(*arguments: str) -> tuple[int, str]:
            result = command("people", *arguments)
            return result.exit_code, result.output

        assert run("student", "--subject", "ada", "--student", str(ada)) == (0, f"ada is student {ada}.\n")
        assert run("staff", "--subject", "grace", "--role", "advisor") == (0, "grace is advisor.\n")
        assert run("advise", "--subject", "grace", "--student", str(ada))[0] == 0
        assert run("advise", "--subject", "grace", "--student", str(ada))[0] == 0
        assert run("advise", "--subject", "grace", "--student", str(alan))[0] == 0
        assert run("staff", "--subject", "emmy", "--role", "registrar")[0] == 0
        assert run("list")[1].splitlines() == [
            f"ada  student {ada}  https://login.example.edu",
            "grace  advisor of 2  https://login.example.edu",
            "emmy  registrar  https://login.example.edu",
        ]
        assert run("advise", "--subject", "grace", "--student", str(alan), "--stop")[0] == 0
        assert run("staff", "--subject", "grace", "--role", "registrar")[0] == 0
        assert [line.split("  ")[1] for line in run("list")[1].splitlines() if line.startswith("grace")] == [
            "advisor of 1",
            "registrar",
        ]
        assert run("student", "--subject", "grace", "--student", str(alan))[0] == 0
        assert run("remove", "--subject", "ada") == (0, "Deleted the account of ada.\n")
        assert "advisor of 1" in run("list")[1]

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (("student", "--subject", "ada", "--student", "999999"), "There is no student with this id."),
            (("student", "--subject", "emmy", "--student", "1"), "There is no student with this id."),
            (("staff", "--subject", "emmy", "--role", "registrar"), "This subject is already registrar"),
            (
                ("advise", "--subject", "emmy", "--student", "1"),
                "This subject is not an advisor. Give it the role first: people staff --role advisor.",
            ),
            (("advise", "--subject", "grace", "--student", "999999"), "There is no student with this id."),
            (("advise", "--subject", "grace", "--student", "1", "--stop"), "does not advise student 1"),
            (("remove", "--subject", "nobody"), "nobody has no account."),
        ],
    )
    def test_what_is_not_possible_is_a_sentence(
        self, command: Command, arguments: tuple[str, ...], sentence: str
    ) -> None:
        for subject, role in (("emmy", "registrar"), ("grace", "advisor")):
            command("people", "staff", "--subject", subject, "--role", role, "--issuer", "https://i.example")

        result = command("people", *arguments, "--issuer", "https://i.example")

        assert (result.exit_code, sentence in result.output) == (1, True), result.output

    def test_a_command_without_an_issuer_says_that_it_is_not_set(self, command: Command) -> None:
        result = command("people", "remove", "--subject", "ada")
        assert result.exit_code != 0
        assert "OIDC_ISSUER is not set" in str(result.exception)

    def test_a_student_who_is_deleted_takes_the_account_along(
        self, command: Command, client: FlaskClient, student: Any, person: Any
    ) -> None:
        ada = student()
        person("student", ada)
        person("advisor", ada)

        assert client.delete(f"/students/{ada}").status_code == 204
        assert command("people", "list").stdout.count("student") == 0
