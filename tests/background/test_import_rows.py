"""Rows of old imports are deleted, but not those by which the next import knows what somebody has changed."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask

from course_management.background.import_rows import purge
from course_management.database.types import utcnow
from course_management.services import imports as service

from ..support.fixture_types import Sql


@pytest.fixture
def imported(app: Flask, sql: Sql) -> Any:
    """Returns a function that stores an import of so many days ago, whose rows are about these students."""

    def store(days: int, *units: str, state: str = service.APPLIED, outcome: str = "unchanged") -> int:
        with app.app_context():
            import_id = service.start({"format": "f", "digest": "d", "files": [], "options": {}})
            rows = [
                {"import_id": import_id, "number": number, "kind": "students", "unit": unit, "part": None, "line": 1}
                | {"file": "f", "content": {}, "outcome": outcome, "code": None, "detail": None}
                for number, unit in enumerate(units, 1)
            ]
            service.stage(rows)
            service.set_state(import_id, state)
        at = (utcnow() - timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S.000000")
        sql(f"UPDATE imports SET updated_at = '{at}' WHERE id = {import_id}")
        return import_id

    return store


def rows(sql: Sql) -> list[tuple[int, str]]:
    return [tuple(row) for row in sql("SELECT import_id, unit FROM import_rows ORDER BY 1, 2")]


def run(app: Flask) -> None:
    with app.app_context():
        for _ in purge(14):
            pass


def test_rows_that_a_later_import_has_replaced_are_deleted(app: Flask, imported: Any, sql: Sql) -> None:
    first, second = imported(20, "s1", "s2"), imported(1, "s2")
    run(app)
    assert rows(sql) == [(first, "s1"), (second, "s2")]


def test_rows_of_a_recent_import_are_kept(app: Flask, imported: Any, sql: Sql) -> None:
    imported(13, "s1")
    imported(1, "s1")
    run(app)
    assert len(rows(sql)) == 2


@pytest.mark.parametrize("later", [{"state": service.PLANNED}, {"outcome": "refuse"}])
def test_what_was_only_planned_or_refused_replaces_nothing(app: Flask, imported: Any, sql: Sql, later: Any) -> None:
    first = imported(20, "s1")
    imported(1, "s1", **later)
    run(app)
    assert (first, "s1") in rows(sql)


def test_an_import_that_was_never_applied_loses_all_rows(
    app: Flask, imported: Any, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "ROWS_AT_ONCE", 2)
    imported(20, "s1", "s2", "s3", state=service.PLANNED)
    imported(20, "s4", outcome="refuse")
    run(app)
    assert rows(sql) == []
    assert sql("SELECT count(*) FROM imports") == [(2,)]


def test_only_on_sqlite_an_import_leaves_others_time_to_write(
    app: Flask, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(
        service, "time", SimpleNamespace(monotonic=iter([1.0, 1.05, 2.0, 9.0]).__next__, sleep=pauses.append)
    )
    with app.app_context():
        for _ in range(2):
            with service.letting_others_write():
                pass
    assert pauses == ([] if backend == "postgresql" else [pytest.approx(0.05), 0.1])


def test_an_import_that_is_read_again_begins_without_rows(
    app: Flask, imported: Any, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "ROWS_AT_ONCE", 1)
    interrupted, other = imported(1, "s1", "s2", state=service.READING), imported(1, "s1")

    with app.app_context():
        assert service.start({}, again=interrupted) == interrupted

    assert rows(sql) == [(other, "s1")]
