"""One school per schema of one PostgreSQL database: everything works in each, and none sees the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy.engine import URL

from course_management.cli import cli
from course_management.database import db

from ..support.databases import Databases
from ..support.schools import Schools

FILES = {
    "students": "external_id,name,email\ns1,Ada,ada@example.edu\ns2,Bob,bob@example.edu\n",
    "courses": "external_id,code,title,capacity\nc1,CS101,Programming,1\n",
    "enrollments": "student,course,status\ns1,c1,enrolled\n",
}


@pytest.fixture
def schools(backend: str, databases: Databases, tmp_path: Path) -> Iterator[list[URL]]:
    """Return the addresses of two schemas of one database, without a table."""
    if backend != "postgresql":
        pytest.skip("SQLite has no schemas")
    if isinstance(databases, Schools):
        yield [databases.empty(), databases.empty()]
        return
    database = databases.empty()
    in_it = Schools(tmp_path, database, template=False)
    yield [in_it.empty(), in_it.empty()]
    databases.drop(database)


def test_each_schema_of_a_database_is_a_school(
    schools: list[URL], make_app: Callable[..., Flask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in FILES.items():
        (tmp_path / f"{name}.csv").write_text(content)

    def run(school: URL, *arguments: str) -> Result:
        monkeypatch.setenv("DATABASE_URL", school.render_as_string(hide_password=False))
        return CliRunner().invoke(cli, arguments)

    def client_of(school: URL) -> Flask:
        return make_app(database_url=school.render_as_string(hide_password=False))

    first, second = schools
    assert run(first, "migrate").exit_code == 0
    assert "never migrated" in run(second, "status").output
    assert run(second, "migrate").exit_code == 0
    imported = run(first, "import", str(tmp_path), "--apply")
    assert imported.exit_code == 0, imported.output

    one, other = client_of(first).test_client(), client_of(second).test_client()
    assert one.get("/courses/1").get_json()["seats_taken"] == 1
    assert one.post("/students/2/enroll", json={"course_id": 1}).status_code == 409
    assert other.get("/courses/1").status_code == 404
    student = other.post("/students", json={"name": "Ada", "email": "ada@example.edu"})
    course = other.post("/courses", json={"code": "CS101", "title": "Programming"})
    assert (student.get_json()["id"], course.get_json()["id"]) == (1, 1)
    assert other.post("/students/1/enroll", json={"course_id": 1}).status_code == 201
    assert len(other.get("/courses/1/history").get_json()["items"]) == 1

    for school, lines in ((first, "1"), (second, "1")):
        assert f"Ledger lines {lines}" in run(school, "status").output
        assert run(school, "verify").exit_code == 0
        assert run(school, "promote").exit_code == 0
    for app in (one.application, other.application):
        with app.app_context():
            db.engine.dispose()
