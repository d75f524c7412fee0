"""Real files of four systems and of a university are imported whole, and a second time without a change.

Run with `TEST_DATA=/path/to/data`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import URL

from course_management.cli import cli
from course_management.maintenance.verify import verify

from ..support.fixture_types import Sql
from ..transfer.reading import real

TERM = "external_id,code,title,starts_on,ends_on\n2026-su,2026-su,Summer 2026,2026-05-18,2026-08-07\n"
SCHOOLS: dict[str, tuple[list[str], dict[str, int], dict[str, int]]] = {
    # options; rows of tables afterwards; rows that are refused, by code
    "rosters/canvas": (
        ["--create-missing"],
        {"terms": 10, "courses": 1736, "students": 777, "people": 216, "enrollment_events": 10660},
        {"course_not_found": 1901, "term_not_found": 277, "term_has_no_dates": 2},
    ),
    "rosters/oneroster-a": ([], {"terms": 3, "courses": 72, "students": 140, "enrollment_events": 225}, {}),
    "rosters/oneroster-1.2/full.zip": (
        [],
        {"terms": 2, "courses": 1, "students": 4, "people": 3, "enrollment_events": 2},
        {"course_not_found": 3},
    ),
    "rosters/sds-2.1": ([], {"courses": 2, "students": 4, "people": 2, "enrollment_events": 4}, {}),
    "uiuc": (
        ["--term", "2026-su", "--create-missing"],
        {"catalog_entries": 3865, "prerequisites": 4929, "courses": 1675, "course_meetings": 1011},
        {"requires_itself": 13},
    ),
}


@pytest.mark.parametrize("name", SCHOOLS)
def test_real_files_are_imported_whole_and_a_second_time_without_a_change(
    app: Flask, database: URL, monkeypatch: pytest.MonkeyPatch, sql: Sql, tmp_path: Path, name: str
) -> None:
    options, tables, refused = SCHOOLS[name]
    path = str(real(name))
    monkeypatch.setenv("DATABASE_URL", database.render_as_string(hide_password=False))
    term = tmp_path / "terms.csv"
    term.write_text(TERM)
    if "--term" in options:
        assert CliRunner().invoke(cli, ["import", str(term), "--apply"]).exit_code == 0
    first = CliRunner().invoke(cli, ["import", path, "--apply", *options])
    counts = {table: sql(f"SELECT count(*) FROM {table}")[0][0] for table in tables}
    latest = "import_id = (SELECT max(id) FROM imports)"
    assert (first.exit_code, counts) == (3 if refused else 0, tables), first.output
    assert (
        dict(
            map(tuple, sql(f"SELECT code, count(*) FROM import_rows WHERE {latest} AND outcome = 'refuse' GROUP BY 1"))
        )
        == refused
    )
    second = CliRunner().invoke(cli, ["import", path, "--apply", *options])
    assert second.exit_code == first.exit_code, second.output
    assert {table: sql(f"SELECT count(*) FROM {table}")[0][0] for table in tables} == tables
    outcomes = sql(f"SELECT DISTINCT outcome FROM import_rows WHERE {latest}")
    assert {outcome for (outcome,) in outcomes} <= {"unchanged", "refuse", "warning"}
    with app.app_context():
        assert [each.name for each in verify() if each.verdict == "BROKEN"] == []
    if name == "uiuc":
        assert sql("SELECT count(DISTINCT course_id) FROM course_meetings") == [(357,)]
