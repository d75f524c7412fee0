"""`course-management check`, and what `serve` refuses to start with."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy.engine import make_url

from course_management import cli
from course_management.access import key_management as services
from course_management.access import keys
from course_management.config import ConfigurationError, Settings
from course_management.maintenance import checks

from ..support.fixture_types import Sql
from ..support.keys import create_key
from .issuer import LocalIssuer

Check = Callable[..., list[checks.Finding]]


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def url(app: Flask) -> str:
    return str(app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False))


@pytest.fixture
def find(app: Flask, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Return what is found with these settings and variables of the environment."""
    monkeypatch.chdir(tmp_path)

    def run(environ: dict[str, str] | None = None, **settings: Any) -> list[checks.Finding]:
        given = {"database_url": url, **settings}
        with app.app_context():
            return checks.find(Settings.load({k.upper(): v for k, v in given.items()}, environ={}), environ or {})

    return run


@pytest.fixture
def secured(app: Flask) -> None:
    with app.app_context():
        create_key("portal", ["admin"])


def sentences(found: list[checks.Finding]) -> str:
    return "\n".join(each.sentence for each in found)


@pytest.mark.usefixtures("secured")
def test_nothing_unsafe(find: Check) -> None:
    assert find() == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "[::1]", "LOCALHOST"])
def test_no_authentication_on_this_machine(find: Check, host: str) -> None:
    (finding,) = find(host=host)
    assert "No authentication is configured" in finding.sentence
    assert not finding.dangerous


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "0", "[::]", "192.0.2.1"])  # noqa: S104 - to be refused
def test_no_authentication_for_other_machines_is_dangerous(find: Check, host: str) -> None:
    found = find(host=host)
    assert found[0].dangerous
    assert f"HOST={host} opens the service" in found[0].sentence


def test_a_host_that_names_no_address_is_dangerous(find: Check) -> None:
    found = find(host="127.0.0.1:9000")
    assert found[0].dangerous
    assert "Write HOST=127.0.0.1 and PORT=9000." in found[0].sentence


@pytest.mark.usefixtures("secured")
@pytest.mark.parametrize(
    ("settings", "environ", "sentence", "dangerous"),
    [
        ({"host": "0.0.0.0"}, {}, "without TLS", False),  # noqa: S104 - likewise
        ({"log_level": "debug"}, {}, "LOG_LEVEL=debug", False),
        ({}, {"FLASK_DEBUG": "1"}, "FLASK_DEBUG", True),
    ],
)
def test_a_setting(find: Check, settings: Any, environ: Any, sentence: str, dangerous: bool) -> None:
    (finding,) = find(environ, **settings)
    assert (sentence in finding.sentence, finding.dangerous) == (True, dangerous)


@pytest.mark.parametrize(
    ("query", "expected"),
    [("", True), ("?sslmode=prefer", True), ("?sslmode=require", False), ("?sslmode=verify-full", False)],
)
@pytest.mark.parametrize("hosts", ["db.example.edu", "localhost,db.example.edu:5433"])
def test_a_database_on_another_machine_without_encryption(hosts: str, query: str, expected: bool) -> None:
    settings = Settings.load({"DATABASE_URL": f"postgresql://u@{hosts}/x{query}"}, environ={})
    assert bool(list(checks._network(settings))) is expected  # noqa: SLF001 - no server is at that address


@pytest.fixture
def on_several_hosts(backend: str, url: str) -> str:
    """Return the address of the database as one of a cluster."""
    if backend == "sqlite":
        pytest.skip("SQLite has no server")
    address = make_url(url)
    host = address.query["host"]
    return address.update_query_dict({"host": f"{host},{host}"}).render_as_string(hide_password=False)


@pytest.fixture
def server_says(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace what the server says about its replication: it belongs to the whole server of the tests."""

    def say(**state: Any) -> None:
        normal = {"commit": "on", "standbys": "", "has_manager": False, "is_standby": False, "has_standby": True}
        monkeypatch.setattr(checks, "autocommit", lambda _: [SimpleNamespace(**normal | state)])

    return say


@pytest.mark.usefixtures("secured")
@pytest.mark.parametrize(
    ("attributes", "is_found"), [("", True), ("any", True), ("read-write", False), ("primary", False)]
)
def test_several_hosts_that_may_be_standbys(
    find: Check, on_several_hosts: str, attributes: str, is_found: bool
) -> None:
    parameter = f"&target_session_attrs={attributes}" if attributes else ""
    assert ("may use a standby" in sentences(find(database_url=on_several_hosts + parameter))) is is_found


@pytest.mark.usefixtures("secured")
@pytest.mark.parametrize(
    ("commit", "is_found"), [("off", True), ("local", True), ("on", False), ("remote_apply", False)]
)
def test_changes_that_are_acknowledged_too_early(
    make_app: Callable[..., Flask], url: str, backend: str, commit: str, is_found: bool
) -> None:
    if backend == "sqlite":
        pytest.skip("SQLite has no such option")
    address = f"{url}&options=-c%20synchronous_commit%3D{commit}"
    with make_app(database_url=address).app_context():
        found = sentences(checks.find(Settings.load({"DATABASE_URL": address}, environ={}), {}))
    assert ("changes can be lost when the database server crashes" in found) is is_found


@pytest.mark.usefixtures("secured")
@pytest.mark.parametrize(
    ("standbys", "has_manager", "has_standby", "sentence"),
    [
        ("standby1", False, True, "synchronous_standby_names is set by hand"),
        ("standby1", True, True, ""),
        ("", False, True, "confirms no changes"),
        ("", True, True, "confirms no changes"),
        ("", False, False, "No standby is connected"),
        ("", True, False, "No standby is connected"),
        ("standby1", True, False, "No standby is connected"),
    ],
)
def test_standbys_that_are_lost_or_that_nothing_manages(
    find: Check,
    on_several_hosts: str,
    server_says: Callable[..., None],
    standbys: str,
    has_manager: bool,
    has_standby: bool,
    sentence: str,
) -> None:
    server_says(standbys=standbys, has_manager=has_manager, has_standby=has_standby)
    said = sentences(find(database_url=f"{on_several_hosts}&target_session_attrs=read-write"))
    assert sentence in said
    assert bool(said) is bool(sentence)


@pytest.mark.usefixtures("secured")
@pytest.mark.parametrize(("has_manager", "is_found"), [(True, True), (False, False)])
def test_a_lost_standby_of_a_cluster_behind_a_proxy(
    find: Check, backend: str, server_says: Callable[..., None], has_manager: bool, is_found: bool
) -> None:
    """The address names one host; that Patroni manages the server shows that there must be a standby."""
    if backend == "sqlite":
        pytest.skip("SQLite has no server")
    server_says(standbys="", has_manager=has_manager, has_standby=False)
    assert ("No standby is connected" in sentences(find())) is is_found


@pytest.mark.usefixtures("secured")
def test_an_address_that_leads_to_a_standby(find: Check, backend: str, server_says: Callable[..., None]) -> None:
    if backend == "sqlite":
        pytest.skip("SQLite has no server")
    server_says(is_standby=True)
    assert "DATABASE_URL leads to a standby" in sentences(find())


def test_a_database_that_was_never_migrated(find: Check, sql: Sql) -> None:
    sql("UPDATE alembic_version SET version_num = '0001'")
    assert "at migration 0001" in sentences(find())
    sql("DROP TABLE alembic_version")
    assert "was never migrated" in sentences(find())


def test_a_file_that_all_users_can_read(find: Check, url: str, backend: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://u:secret@localhost/x")
    (tmp_path / ".env").chmod(0o644)
    assert "The file .env" in sentences(find())
    (tmp_path / ".env").chmod(0o600)
    assert "The file .env" not in sentences(find())
    if backend == "sqlite":
        file = Path(url.removeprefix("sqlite:///"))
        file.chmod(0o644)
        assert "The database is accessible to every user" in sentences(find())
        file.chmod(0o640)
        assert "The database can be read" not in sentences(find())


def test_sqlite_on_a_network(find: Check, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend == "postgresql":
        pytest.skip("PostgreSQL manages its own files")
    monkeypatch.setattr(checks, "_filesystem", lambda _: "nfs4")
    assert any(each.dangerous and "nfs4" in each.sentence for each in find())


@pytest.mark.usefixtures("secured")
def test_without_an_active_key_or_an_issuer_every_request_is_refused(find: Check, app: Flask) -> None:
    with app.app_context():
        (key,) = keys.list_all()
        services.revoke(key.id)
    assert "so every request is refused" in sentences(find())


def test_an_issuer_without_keys(find: Check, issuer: LocalIssuer) -> None:
    settings = {name.lower(): value for name, value in issuer.settings.items()}
    assert find(**settings) == []
    issuer.fails = True
    assert "OIDC_JWKS_URL has no keys to check tokens with (Refused:" in sentences(find(**settings))


def test_the_filesystem_of_this_machine_is_known() -> None:
    assert checks._filesystem(Path("/proc/self/status")) == "proc"  # noqa: SLF001
    assert checks._filesystem(Path(os.devnull).parent)  # noqa: SLF001


class TestTheCommands:
    @pytest.fixture
    def command(self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DATABASE_URL", url)
        return lambda *arguments: CliRunner().invoke(cli.cli, arguments)

    def test_check_says_it_and_fails(self, command: Callable[..., Result]) -> None:
        result = command("check")
        assert result.exit_code == 1
        assert result.output.startswith("unsafe  No authentication is configured")

    @pytest.mark.usefixtures("secured")
    def test_check_finds_nothing(self, command: Callable[..., Result]) -> None:
        result = command("check")
        assert (result.exit_code, result.output) == (0, "Nothing unsafe was found.\n")

    @pytest.mark.parametrize("arguments", [["verify"], ["keys", "list"], ["status"], ["promote"]])
    def test_a_database_that_was_never_migrated_is_a_sentence(
        self, command: Callable[..., Result], sql: Sql, arguments: list[str]
    ) -> None:
        sql("DROP TABLE alembic_version")
        for table in ("advisees", "sessions", "accounts", "api_keys"):
            sql(f"DROP TABLE IF EXISTS {table}")
        sql("ALTER TABLE courses RENAME TO lost")
        result = command(*arguments)
        assert result.exit_code == 1
        assert "never migrated: run `course-management migrate`" in result.output
        assert "Traceback" not in result.output
        sql("ALTER TABLE lost RENAME TO courses")

    def test_a_database_that_does_not_respond_is_reported_in_a_sentence(
        self, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
        for arguments in (["verify"], ["status"], ["check"]):
            result = command(*arguments)
            assert result.exit_code == 1
            assert "The database cannot be reached" in result.output

    def test_serve_does_not_open_itself(self, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOST", "0.0.0.0")  # noqa: S104 - to be refused
        result = command("serve")
        assert isinstance(result.exception, ConfigurationError)  # which `main` makes exit 2
        assert "Serving" not in result.output
