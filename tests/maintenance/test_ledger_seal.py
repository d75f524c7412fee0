"""`verify --seal` and `--against`: whether the sealed part of the ledger has changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from sqlalchemy import URL, create_engine, text
from sqlalchemy.pool import NullPool

from course_management import cli
from course_management.database import db
from course_management.maintenance import ledger_seal

from ..support.databases import migrate

Run = Callable[..., Result]
LINES: list[tuple[Any, ...]] = [
    (1, "2026-09-01 08:00:00.000001", 1, 1, None, "enrolled", "service:portal", "request-1", 300, None),
    (2, "2026-09-01 08:00:00.100000", 2, 1, None, "waitlisted", "person:Zo\u00eb", None, None, "Asked by m\u00e4il"),
    (3, "2026-09-01 08:00:01.000000", 1, 1, "enrolled", "unenrolled", 'a "quoted" \\ actor', "", 250, ""),
    (10_000, "2026-09-02 00:00:00.000000", 3, 9, None, "enrolled", "database", None, None, None),
    (10_001, "2026-09-03 00:00:00.000000", 4, 9, None, "enrolled", "database", None, None, None),
    (2**53 - 1, "2026-09-04 23:59:59.999999", 2**53 - 1, 9, None, "enrolled", "database", None, None, None),
]
# Of the documented forms, computed apart from the service: the first one ends with the request id, the last one lacks
# the reason.
DIGESTS = {
    1: "1f14a7ab436d8ef186111f865525ea62a60ec1c203331b8da99a5d713e07b2c8",
    2: "6b55753a3121c679dff1ad542f7a227e34bcdd9919fefb154aa1e46e21630865",
    3: "e7750a0ffdcf4f90c595fffc1bfa0e216868e60f1eb38ba4ed5c9779fe97a86e",
}


@pytest.fixture
def run(database: URL, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DATABASE_URL", database.render_as_string(hide_password=False))
    return lambda *arguments: CliRunner().invoke(cli.cli, ["verify", *arguments])


def write(url: URL, lines: list[tuple[Any, ...]]) -> None:
    """Add lines to a ledger, and nothing else."""
    columns = "id, at, student_id, course_id, from_status, to_status, actor, request_id, credits, reason"
    names = columns.split(", ")
    statement = f"INSERT INTO enrollment_events ({columns}) VALUES ({', '.join(f':{name}' for name in names)})"
    with create_engine(url, poolclass=NullPool).begin() as connection:
        if url.get_backend_name() == "postgresql":
            connection.execute(text("SET TIME ZONE 'UTC'"))
        connection.execute(text(statement), [dict(zip(names, line, strict=True)) for line in lines])


@pytest.fixture
def tamper(backend: str, database: URL) -> Callable[[str], None]:
    """Runs a statement as the owner of the database, who can switch the triggers off."""

    def change(statement: str) -> None:
        with create_engine(database, poolclass=NullPool).begin() as connection:
            if backend == "postgresql":
                connection.execute(text("SET LOCAL session_replication_role = replica"))
            else:
                for name in ("not_changed", "not_deleted", "not_replaced"):
                    connection.execute(text(f"DROP TRIGGER IF EXISTS enrollment_events_{name}"))
            connection.execute(text(statement))

    return change


@pytest.fixture
def seal(run: Run, database: URL, tmp_path: Path) -> Path:
    """Return a seal of a ledger with `LINES`."""
    write(database, LINES)
    file = tmp_path / "ledger.json"
    run("--seal", str(file))
    return file


def as_sealed(result: Result) -> str:
    """Return the verdict about the seal, and its evidence."""
    return result.output[result.output.index("the ledger is as it was sealed") - 8 :]


def test_new_lines_do_not_change_the_sealed_part(run: Run, seal: Path) -> None:
    content = json.loads(seal.read_text())
    assert (content["last_line"], content["lines"]) == (2**53 - 1, len(LINES))
    assert [block["lines"] for block in content["blocks"]] == [4, 1, 1]

    assert as_sealed(run("--against", str(seal))).startswith("ok      ")


@pytest.mark.parametrize("number", DIGESTS)
def test_the_same_ledger_has_the_same_digest_on_every_database(app: Flask, database: URL, number: int) -> None:
    """Written down once, so that SQLite, PostgreSQL and later versions are held to one form."""
    write(database, LINES)
    (seal_format,) = (name for name in ledger_seal.FORMATS if name.startswith(f"ledger seal {number}:"))

    with app.app_context(), db.engine.connect() as connection:
        found = ledger_seal.make(connection, LINES[-1][0], seal_format)

    assert found.sha256 == DIGESTS[number]


def test_a_seal_of_an_earlier_version_holds_and_reveals_what_it_covers(
    app: Flask, run: Run, seal: Path, tamper: Callable[[str], None]
) -> None:
    with app.app_context(), db.engine.connect() as connection:
        earlier = ledger_seal.make(connection, LINES[-1][0], "ledger seal 1: sha256 of compact JSON lines")
    seal.write_text(earlier.as_json())

    assert as_sealed(run("--against", str(seal))).startswith("ok      ")
    tamper("UPDATE enrollment_events SET reason = 'another' WHERE id = 2")
    assert as_sealed(run("--against", str(seal))).startswith("ok      ")
    tamper("UPDATE enrollment_events SET actor = 'another' WHERE id = 2")
    assert as_sealed(run("--against", str(seal))).startswith("BROKEN")


@pytest.mark.parametrize(
    ("statement", "first"),
    [
        ("UPDATE enrollment_events SET actor = 'nobody' WHERE id = 3", 1),
        ("UPDATE enrollment_events SET request_id = NULL WHERE id = 3", 1),
        ("UPDATE enrollment_events SET credits = 350 WHERE id = 1", 1),
        ("UPDATE enrollment_events SET reason = 'Nobody asked' WHERE id = 2", 1),
        ("UPDATE enrollment_events SET at = '2026-09-01 08:00:00.100001' WHERE id = 2", 1),
        ("UPDATE enrollment_events SET to_status = 'waitlisted' WHERE id = 10001", 10_001),
        ("DELETE FROM enrollment_events WHERE id = 10001", 10_001),
        (
            (
                "INSERT INTO enrollment_events (id, at, student_id, course_id, to_status, actor)"
                " VALUES (20001, '2026-09-04 00:00:00', 1, 1, 'enrolled', 'database')"
            ),
            20_001,
        ),
        ("UPDATE enrollment_events SET id = 4 WHERE id = 3", 1),
    ],
)
def test_a_changed_line_is_reported_with_its_block(
    run: Run, tamper: Callable[[str], None], seal: Path, statement: str, first: int
) -> None:
    tamper(statement)

    result = run("--against", str(seal))

    assert result.exit_code == 1
    verdict, evidence, *more = as_sealed(result).splitlines()
    assert verdict.startswith("BROKEN  the ledger is as it was sealed")
    assert evidence.strip().startswith(f"lines_from {first}, to {first + 9_999}, ")
    assert more == []


def test_an_emptied_ledger_differs_from_its_seal(run: Run, tamper: Callable[[str], None], seal: Path) -> None:
    tamper("DELETE FROM enrollment_events")

    assert as_sealed(run("--against", str(seal))).splitlines()[1:] == [
        "          lines_from 1, to 10000, sealed 4, found 0",
        "          lines_from 10001, to 20000, sealed 1, found 0",
        "          lines_from 9007199254740001, to 9007199254750000, sealed 1, found 0",
    ]


def test_lines_after_the_seal_do_not_count(run: Run, database: URL, tmp_path: Path) -> None:
    write(database, LINES[:2])
    file = tmp_path / "ledger.json"
    run("--seal", str(file))
    write(database, LINES[2:])

    assert as_sealed(run("--against", str(file))).startswith("ok      ")


def test_an_empty_ledger_can_be_sealed(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "ledger.json"

    assert run("--seal", str(file)).exit_code == 0
    assert run("--against", str(file)).exit_code == 0


def test_a_seal_is_never_overwritten(run: Run, seal: Path) -> None:
    before = seal.read_text()

    result = run("--seal", str(seal))

    assert result.exit_code == 2
    assert "never overwritten" in result.output
    assert seal.read_text() == before


def test_a_seal_that_cannot_be_written_is_reported_as_a_sentence(run: Run, tmp_path: Path) -> None:
    result = run("--seal", str(tmp_path / "missing" / "ledger.json"))

    assert (result.exit_code, "cannot be written: No such file" in result.output) == (1, True)


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "null", '{"format": 1}', "\0", '{"blocks": 1}', '{"format": "another", "blocks": []}']
)
def test_a_file_that_is_not_a_seal_is_reported_as_a_sentence(run: Run, tmp_path: Path, content: str) -> None:
    file = tmp_path / "ledger.json"
    file.write_text(content)

    result = run("--against", str(file))

    assert (result.exit_code, "is not a seal" in result.output) == (2, True)


def test_a_seal_with_another_format_or_without_a_block_is_reported_as_a_sentence(run: Run, seal: Path) -> None:
    content = json.loads(seal.read_text())
    for change in ({"format": "ledger seal 9"}, {"blocks": content["blocks"][1:]}):
        seal.write_text(json.dumps(content | change))

        assert run("--against", str(seal)).exit_code == 2


def test_the_seal_waits_for_lines_that_are_not_committed_yet(backend: str, app: Flask, database: URL) -> None:
    """A line with a lower id that appears later would look like one that was added."""
    if backend != "postgresql":
        pytest.skip("SQLite has one writer")
    insert = (
        "INSERT INTO enrollment_events (at, student_id, course_id, to_status, actor)"
        " VALUES (now(), 1, 1, 'enrolled', 'database')"
    )
    engine = create_engine(database, poolclass=NullPool)
    with engine.connect() as early, engine.connect() as late:
        early.execute(text(insert))
        late.execute(text(insert))
        late.commit()
        with app.app_context(), pytest.raises(Exception, match="lock timeout"):
            ledger_seal.last_settled_line()
        early.commit()
        with app.app_context():
            assert ledger_seal.last_settled_line() == 2
            db.engine.dispose()


def test_a_seal_of_sqlite_holds_on_postgresql(
    backend: str, tmp_path: Path, database: URL, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    if backend != "postgresql":
        pytest.skip("both databases take part in it once")
    sqlite = URL.create("sqlite", database=str(tmp_path / "school.db"))
    migrate(sqlite)
    write(sqlite, LINES)
    file = tmp_path / "ledger.json"
    monkeypatch.setenv("DATABASE_URL", sqlite.render_as_string())
    CliRunner().invoke(cli.cli, ["verify", "--seal", str(file)])
    monkeypatch.setenv("DATABASE_URL", database.render_as_string(hide_password=False))
    write(database, LINES)

    assert as_sealed(run("--against", str(file))).startswith("ok      ")
