"""A session has the settings that statements need, whatever the server, the database, the role or libpq set."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from course_management.cli import cli
from course_management.database import db, migration_engine, operator_advice
from course_management.maintenance.verify import verify

from ..support.apps import app_on
from ..support.databases import Databases, migrate
from ..support.responses import is_503, is_up

HARMFUL = {
    "client_encoding": "LATIN1",
    "TimeZone": "America/St_Johns",
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "standard_conforming_strings": "off",
    "default_transaction_isolation": "serializable",
    "exit_on_error": "on",
    "default_table_access_method": "none",
    "session_replication_role": "replica",
    "synchronous_commit": "off",
    "idle_session_timeout": "1s",
    "transaction_timeout": "1s",
    "statement_timeout": "1ms",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "plan_cache_mode": "force_custom_plan",
    "jit": "on",
    "lc_messages": "C",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "row_security": "off",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "backslash_quote": "on",
    "quote_all_identifiers": "on",
    "check_function_bodies": "off",
    "enable_indexscan": "off",
    "default_transaction_deferrable": "on",
}
"""Settings that a database or a role may carry, with a value that is not what we would choose."""
OURS = {
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "standard_conforming_strings": "on",
    "default_transaction_isolation": "read committed",
    "exit_on_error": "off",
    "default_table_access_method": "heap",
    "session_replication_role": "origin",
    "synchronous_commit": "on",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    "statement_timeout": "1400ms",
    "lock_timeout": "1200ms",
    "idle_in_transaction_session_timeout": "5s",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}


@pytest.fixture(autouse=True)
def only_postgresql(backend: str) -> None:
    if backend != "postgresql":
        pytest.skip("SQLite has no sessions")


@pytest.fixture
def role(databases: Databases, database: URL) -> Iterator[str]:
    """Create a role with all permissions in the test's database that is no superuser."""
    name = f"role_{database.database}"
    databases.run(f'CREATE ROLE "{name}" LOGIN')
    databases.run(f'ALTER DATABASE "{database.database}" OWNER TO "{name}"')
    engine = create_engine(database, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(f'GRANT ALL ON SCHEMA public TO "{name}"'))
        connection.execute(text(f'GRANT ALL ON ALL TABLES IN SCHEMA public TO "{name}"'))
        connection.execute(text(f'GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO "{name}"'))
    yield name
    with engine.begin() as connection:
        connection.execute(text(f'REASSIGN OWNED BY "{name}" TO CURRENT_USER'))
        connection.execute(text(f'DROP OWNED BY "{name}"'))
    databases.run(f'DROP ROLE "{name}"')


def serves(client: FlaskClient) -> None:
    """Check the whole life of an enrollment: enrolled, refused, waitlisted, promoted, listed, and in the history."""
    assert is_up(client)
    ids = []
    for number, name in enumerate(("Zoë", "李小龍", r"O'Brien \ 'x'")):
        student = {"name": name, "email": f"student{number}@example.edu"}
        made = client.post("/students", json=student)
        assert made.get_json()["name"] == name
        assert client.post("/students", json=student).status_code == 409
        ids.append(made.get_json()["id"])
    course = {"code": "CS101", "title": "Программирование", "capacity": 1, "waitlist_capacity": 5}
    made = client.post("/courses", json=course)
    assert made.get_json()["created_at"].endswith("Z")
    at, wanted = made.get_json()["id"], {"course_id": made.get_json()["id"], "waitlist": True}
    assert client.post(f"/students/{ids[0]}/enroll", json=wanted).status_code == 201
    assert client.post(f"/students/{ids[1]}/enroll", json={"course_id": at}).status_code == 409
    assert client.post(f"/students/{ids[1]}/enroll", json=wanted).status_code == 201
    assert client.get(f"/students/{ids[1]}/courses?status=any").get_json()["courses"][0]["status"] == "waitlisted"
    assert client.delete(f"/students/{ids[0]}/unenroll?course_id={at}").status_code == 200
    assert (
        client.get(f"/students/{ids[1]}/courses?status=any").get_json()["courses"][0]["status"] == "enrolled"
    )  # promoted
    assert client.put(f"/students/{ids[2]}/enroll", json={"course_ids": []}).status_code == 200
    assert client.get(f"/courses/{at}").get_json()["seats_taken"] == 1
    assert len(client.get(f"/courses/{at}/history").get_json()["items"]) == 4
    assert client.get(f"/courses/{at}/students?as_of=2020-01-01T00:00:00Z").get_json()["items"] == []
    with client.application.app_context():
        assert not [finding for finding in verify() if finding.evidence]


@pytest.mark.parametrize("level", ["database", "role"])
def test_other_settings_of_a_database_or_role_do_not_matter(
    make_app: Callable[..., Flask], databases: Databases, database: URL, level: str
) -> None:
    """All at once; the role is the suite's superuser in this database only."""
    scope = f'DATABASE "{database.database}"'
    if level == "role":
        scope = f'ROLE "{database.username}" IN {scope}'
    for name, value in HARMFUL.items():
        databases.run(f"ALTER {scope} SET {name} = {value if name == 'DateStyle' else repr(value)}")
    app = make_app(database_idle_in_transaction_timeout_ms=5000)
    serves(app.test_client())
    with app.app_context(), db.engine.connect().execution_options(autocommit=True) as connection:
        for name, expected in OURS.items():
            assert connection.execute(text(f"SHOW {name}")).scalar() == expected, name


def test_migrations_run_under_the_same_settings(make_app: Callable[..., Flask], databases: Databases) -> None:
    url = databases.empty()
    for name, value in HARMFUL.items():
        databases.run(f'ALTER DATABASE "{url.database}" SET {name} = {value if name == "DateStyle" else repr(value)}')
    migrate(url)
    engine = migration_engine(url, 0)
    unlimited = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    with engine.connect() as connection:
        for name in (set(OURS) - {"plan_cache_mode", "jit"}) - set(unlimited):
            assert connection.execute(text(f"SHOW {name}")).scalar() == OURS[name], name
        for name in unlimited:
            assert connection.execute(text(f"SHOW {name}")).scalar() == "0", name
    app = make_app(database_url=url.render_as_string(hide_password=False))
    serves(app.test_client())
    with app.app_context():
        db.engine.dispose()
    databases.drop(url)


def test_a_setting_that_the_role_may_not_change_is_reported(
    make_app: Callable[..., Flask], databases: Databases, database: URL, role: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `replica`, no trigger would count seats or write the ledger."""
    databases.run(f"ALTER ROLE \"{role}\" SET session_replication_role = 'replica'")
    url = database.set(username=role).render_as_string(hide_password=False)
    client = make_app(database_url=url, log_level="warning").test_client()
    ready = client.get("/readyz")
    assert is_503(ready)
    assert "session_replication_role is replica" in ready.get_json()["detail"]
    assert is_503(client.post("/students", json={"name": "Ada", "email": "ada@example.edu"}))
    assert '"kind":"UnusableDatabase"' in capsys.readouterr().out

    databases.run(f'ALTER ROLE "{role}" RESET session_replication_role')
    assert is_up(client)


def test_a_role_that_is_not_a_superuser_is_served(make_app: Callable[..., Flask], database: URL, role: str) -> None:
    serves(make_app(database_url=database.set(username=role).render_as_string(hide_password=False)).test_client())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PGTZ", "America/St_Johns"),
        ("PGDATESTYLE", "German"),
        ("PGCLIENTENCODING", "LATIN1"),
        ("PGOPTIONS", "-c session_replication_role=replica"),
    ],
)
def test_variables_of_libpq_do_not_matter(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    serves(make_app().test_client())


def test_a_pooler_that_drops_the_options_does_not_matter(
    make_app: Callable[..., Flask], databases: Databases, database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    from course_management.database import session_settings  # noqa: PLC0415

    monkeypatch.setattr(session_settings, "_options", lambda _: "")
    databases.run(f"ALTER DATABASE \"{database.database}\" SET default_transaction_isolation = 'serializable'")
    databases.run(f"ALTER DATABASE \"{database.database}\" SET TimeZone = 'America/St_Johns'")
    app = make_app()
    serves(app.test_client())
    with app.app_context(), db.engine.connect() as connection:
        assert connection.execute(text("SHOW transaction_isolation")).scalar() == "read committed"


def test_safe_options_of_the_url_are_kept(make_app: Callable[..., Flask], database: URL) -> None:
    """A schema of one's own, and a stronger COMMIT; what the statements depend on stays."""
    given = "-c search_path=school -c synchronous_commit=remote_apply -c timezone=Asia/Tokyo -c lock_timeout=7s"
    app = make_app(database_url=database.update_query_dict({"options": given}).render_as_string(hide_password=False))
    assert not is_up(app.test_client())  # the schema is empty
    with app.app_context(), db.engine.connect() as connection:
        found = [connection.execute(text(f"SHOW {name}")).scalar() for name in ("search_path", "synchronous_commit")]
        assert found == ["school", "remote_apply"]
        assert connection.execute(text("SHOW timezone")).scalar() == "UTC"
        assert connection.execute(text("SHOW lock_timeout")).scalar() == "1200ms"


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_in_another_encoding_is_refused_with_a_sentence(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    name = f"in_{encoding.lower()}_{databases.folder.name.replace('-', '_')}"
    databases.run(f"CREATE DATABASE \"{name}\" ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    assert databases.server is not None
    url = databases.server.set(database=name)
    text_of_url = url.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", text_of_url)

    for command in ("migrate", "check", "status", "promote"):
        result = CliRunner().invoke(cli, [command])
        assert result.exit_code == 1, command
        assert f"is {encoding}, but must be UTF8" in result.output, command
        assert "Traceback" not in result.output

    monkeypatch.setattr("course_management.server.serving.serve", lambda *_: None)
    assert f"is {encoding}, but must be UTF8" in CliRunner().invoke(cli, ["serve"]).output

    app = app_on(text_of_url)
    ready = app.test_client().get("/readyz")
    assert is_503(ready)
    assert encoding in ready.get_json()["detail"]
    assert is_503(app.test_client().get("/students"))
    with app.app_context(), pytest.raises(SQLAlchemyError) as error, db.engine.connect():
        pass
    assert encoding in str(operator_advice(error.value))
    databases.drop(url)
