"""Fixtures of all tests, on two databases: SQLite, and a PostgreSQL server that the tests start.

Every test gets its own database, copied from one that the migrations built. The client
validates every response against the OpenAPI document, so that no test can pass with an undocumented response.
"""

from __future__ import annotations

import gc
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import prometheus_client  # noqa: F401 - before a test sets the variable by which it decides, once, where counters are kept
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from sqlalchemy.engine import URL
from werkzeug.test import TestResponse

os.environ["PYTHON_DOTENV_DISABLED"] = "1"  # a developer's .env is not part of the suite

from course_management import create_app, logs
from course_management.config import Settings
from course_management.database import db, groups
from course_management.database_urls import database_url
from course_management.services.enrollment import promotion

from .support import grouping
from .support.cheap_apps import make_apps_cheap
from .support.contract import ContractClient
from .support.databases import PATIENCE_S, Databases, PostgreSQL, folder_in_memory
from .support.fixture_types import Counters, Enroll, Held, Make, Sql
from .support.schools import Schools
from .support.spies import watched

DATABASES = ("sqlite", "postgresql")
SLOW = Path(__file__).parent / "slow"


def pytest_configure() -> None:
    """Remove the settings of the shell, and let every app configure its own logging."""
    logs.CACHE_LOGGERS = False
    for name in Settings.__dataclass_fields__:
        os.environ.pop(name.upper(), None)
    if grouping.MODE == "always":
        grouping.group_always()


def pytest_xdist_auto_num_workers() -> int:
    """Run one more process than there are processors: the tests wait a third of their time, mostly for PostgreSQL."""
    return (os.cpu_count() or 1) + 1


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=DATABASES, help="run on one database only")
    parser.addoption(
        "--quick",
        action="store_true",
        help="run on SQLite only, the first and last case of each test, and start no process",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave `tests/slow` out, unless it is named: `pytest tests/slow`."""
    named = (Path(argument.split("::")[0]).resolve() for argument in config.args)
    if collection_path == SLOW and not any(each.is_relative_to(SLOW) for each in named):
        return True
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        only = "sqlite" if metafunc.config.getoption("--quick") else metafunc.config.getoption("--database")
        if metafunc.definition.get_closest_marker("one_database"):
            only = only or "sqlite"
        metafunc.parametrize("backend", [only] if only else DATABASES, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the first and the last case of each parametrized test if `--quick` was given: most others resemble them.

    Those of a test with the marker `every_case` are all kept: each names a place that a change forgot.
    """
    if not config.getoption("--quick"):
        return
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        name = item.nodeid if item.get_closest_marker("every_case") else item.nodeid.partition("[")[0]
        cases.setdefault(name, []).append(item)
    kept = {case for test in cases.values() for case in (test[0], test[-1])}
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


def pytest_collection_finish() -> None:
    """Collect garbage more rarely, and not among the modules and tests, which stay: 40 % less CPU time per test."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note which database a test runs on, for the summary: a part of its name can have the same text."""
    if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "backend" in item.callspec.params:
        item.user_properties.append(("database", item.callspec.params["backend"]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report which databases ran, so that none is skipped silently, and how many calls a request takes."""
    called = [
        (report.nodeid, *each)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call" and not report.skipped
        for each in report.user_properties
    ]
    ran = {value for _, name, value in called if name == "database"}
    for backend in DATABASES:
        terminalreporter.write_line(f"database {backend}: {'ran' if backend in ran else 'DID NOT RUN'}")
    lines = {
        f"{name} {test.rpartition('[')[2].removesuffix(']')}: {value}"
        for test, name, value in called
        if name != "database"
    }
    terminalreporter.write_line(f"groups: {grouping.MODE}")
    for line in sorted(lines):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def cheap_apps() -> Iterator[None]:
    """Let the apps of all tests start in a quarter of the time."""
    with pytest.MonkeyPatch.context() as patch:
        make_apps_cheap(patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def patient_promotion() -> Iterator[None]:
    """Let the promotions of a request take as long as a slow machine needs; tests of the limit choose their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(promotion, "TIME_LIMIT_S", PATIENCE_S)
        yield


@pytest.fixture(scope="session", autouse=True)
def without_processes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Skip a test that starts a process if `--quick` was given."""
    with pytest.MonkeyPatch.context() as patch:
        if request.config.getoption("--quick"):
            patch.setattr(subprocess.Popen, "__init__", lambda *_, **__: pytest.skip("--quick starts no process"))
            patch.setattr(subprocess.Popen, "__del__", lambda _: None)
        yield


@pytest.fixture(scope="session")
def postgresql_server() -> URL:
    """Return the address of PostgreSQL: TEST_DATABASE_URL, or a server started from a wheel."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        return database_url(given)
    # No test here pulls a plug; `make proof` runs with fsync.
    return PostgreSQL(fsync="off").url


@pytest.fixture(scope="session")
def databases(
    backend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databases]:
    with folder_in_memory(tmp_path_factory.getbasetemp()) as folder:
        if backend == "postgresql" and (citus := os.environ.get("TEST_CITUS_URL")):
            yield Schools(folder, database_url(citus))
            return
        server = request.getfixturevalue("postgresql_server") if backend == "postgresql" else None
        with closing(Databases(backend, folder, server)) as databases:
            yield databases


@pytest.fixture
def database(databases: Databases) -> Iterator[URL]:
    """Return the address of a migrated, empty database for one test."""
    url = databases.migrated()
    yield url
    databases.drop(url)


@pytest.fixture
def make_app(database: URL) -> Iterator[Callable[..., Flask]]:
    """Return a function that makes apps on the test's database, with some settings changed."""
    apps: list[Flask] = []

    def make(**settings: Any) -> Flask:
        values = {
            "database_url": database.render_as_string(hide_password=False),
            "database_deadline_ms": 20_000,  # a slow machine is no outage; tests of outages choose their own
            "log_level": "error",
            **settings,
        }
        app = create_app({name.upper(): value for name, value in values.items()})
        app.test_client_class = ContractClient
        apps.append(app)
        return app

    yield make
    for app in apps:
        assert app.extensions["authentication"].key_use.idle.wait(
            PATIENCE_S
        )  # no note of a key's use lands in the next test
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    """Return the app on the test's database, with a connection for each of many threads."""
    return make_app(threads=20)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def engine(app: Flask) -> Engine:
    with app.app_context():
        return db.engine


@pytest.fixture
def sql(engine: Engine) -> Sql:
    """Return a function that runs a statement as in a database shell and returns its rows."""

    def run(statement: str, **parameters: Any) -> list[Any]:
        with groups.alone(), engine.begin() as connection:  # a test may do this in the middle of a request
            result = connection.execute(text(statement), parameters)
            return list(result.all()) if result.returns_rows else []

    return run


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Return the list of SQL statements that the app sends from now on."""
    sent: list[str] = []
    with watched(before=lambda _, statement, __: sent.append(statement)):
        yield sent


# --- the normal case: a test shows only what differs from it ----------------------------------------------


@pytest.fixture
def student(client: FlaskClient) -> Make:
    """Return a function that creates a student and returns its id."""
    made = 0

    def make(**values: Any) -> int:
        nonlocal made
        made += 1
        response = client.post("/students", json={"name": "Ada Lovelace", "email": f"ada{made}@example.edu", **values})
        assert response.status_code == 201, response.text
        return int(response.get_json()["id"])

    return make


@pytest.fixture
def course(client: FlaskClient) -> Make:
    """Return a function that creates a course and returns its id."""
    made = 0

    def make(**values: Any) -> int:
        nonlocal made
        made += 1
        response = client.post("/courses", json={"code": f"CS{made:03}", "title": "Programming", **values})
        assert response.status_code == 201, response.text
        return int(response.get_json()["id"])

    return make


@pytest.fixture
def term(client: FlaskClient) -> Make:
    """Makes a term, which has no registration window; its id."""
    made = 0

    def make(**values: Any) -> int:
        nonlocal made
        made += 1
        dates = {"starts_on": "2026-09-01", "ends_on": "2999-12-18"}
        response = client.post("/terms", json={"code": f"2026-{made}", "title": "Fall 2026", **dates, **values})
        assert response.status_code == 201, response.text
        return int(response.get_json()["id"])

    return make


@pytest.fixture
def open_term(client: FlaskClient, term: Callable[..., int]) -> Callable[..., int]:
    """Makes a term in which all students can register now, and its waitlists are open; its id."""

    def make(**values: Any) -> int:
        found = term(starts_on="2000-01-01", ends_on="2999-12-31", **values)
        window = {"opens_at": "2000-01-01T00:00:00Z", "closes_at": "2999-12-31T00:00:00Z"}
        assert client.put(f"/terms/{found}/windows", json=[window]).status_code == 200
        return found

    return make


@pytest.fixture
def group(client: FlaskClient) -> Make:
    """Makes a group of students; its id."""
    made = 0

    def make(**values: Any) -> int:
        nonlocal made
        made += 1
        response = client.post("/groups", json={"kind": "program", "code": f"P{made}", "title": "Physics", **values})
        assert response.status_code == 201, response.text
        return int(response.get_json()["id"])

    return make


@pytest.fixture
def entry(client: FlaskClient) -> Callable[..., int]:
    """Makes a catalog entry; its id."""
    made = 0

    def make(**values: Any) -> int:
        nonlocal made
        made += 1
        response = client.post("/catalog", json={"code": f"CS {made}", "title": "Programming", "credits": 3, **values})
        assert response.status_code == 201, response.text
        return int(response.get_json()["id"])

    return make


@pytest.fixture
def enroll(client: FlaskClient) -> Enroll:
    """Return a function that enrolls a student in courses and returns the response."""

    def call(student_id: int, *course_ids: int, **body: Any) -> TestResponse:
        return client.post(f"/students/{student_id}/enroll", json={"course_ids": course_ids, **body})

    return call


@pytest.fixture
def held(client: FlaskClient) -> Held:
    """Return a function that reads the courses of a student: ids with their status."""

    def read(student_id: int) -> dict[int, str]:
        found = client.get(f"/students/{student_id}/courses?status=any").get_json()["courses"]
        return {each["id"]: each["status"] for each in found}

    return read


@pytest.fixture
def counters(client: FlaskClient) -> Counters:
    """Return a function that reads the number of seats taken and of students waiting in a course."""

    def read(course_id: int) -> tuple[int, int]:
        found: Mapping[str, int] = client.get(f"/courses/{course_id}").get_json()
        return found["seats_taken"], found["waiting"]

    return read
