"""The primary of two servers is killed, the standby is promoted, and the service goes on without a restart.

`make failover` does this with Patroni, which promotes by itself, and with more faults.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import tuple_row

from course_management import create_app
from course_management.database import db
from course_management.database_urls import database_url
from course_management.maintenance.verify import verify

from ..failover.load import POPULATE, Load
from ..support.databases import PostgreSQL, migrate
from ..support.real_server import Server, until

ADDRESSES = {
    "host1,host2": "postgresql://postgres@{0}:5432,{1}:5432/postgres?target_session_attrs=read-write",
    "host=host1&host=host2": "postgresql://postgres@/postgres?host={0}:5432&host={1}:5432&target_session_attrs=read-write",
}


def run(server: PostgreSQL, statement: str) -> list[tuple[object, ...]]:
    """Run a statement on one of the servers."""
    with psycopg.connect(f"host={server.folder} user=postgres", autocommit=True, row_factory=tuple_row) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def primary() -> Iterator[PostgreSQL]:
    server = PostgreSQL(fsync="off")
    yield server
    server.end()


@pytest.fixture
def standby(primary: PostgreSQL) -> Iterator[PostgreSQL]:
    """Provide a standby that confirms each commit of the primary."""
    server = PostgreSQL(primary, fsync="off")
    until(lambda: run(primary, "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"), "replication")
    run(primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
    run(primary, "SELECT pg_reload_conf()")
    yield server
    server.end()


@pytest.mark.parametrize("form", ADDRESSES)
def test_after_the_primary_is_killed_the_service_uses_the_promoted_standby(
    primary: PostgreSQL, standby: PostgreSQL, tmp_path: Path, form: str
) -> None:
    folders = [str(server.folder).replace("/", "%2F") for server in (primary, standby)]
    url = database_url(ADDRESSES[form].format(*folders))
    migrate(url)
    run(primary, POPULATE)
    service, load = Server(tmp_path, url), Load(rate=20)
    try:
        service.wait()
        load.start(service.port)
        until(lambda: any(outcome.is_acknowledged for outcome in load.outcomes), "an enrollment")
        primary.kill()
        until(lambda: any(outcome.status == 503 for outcome in load.outcomes), "a refusal")
        refused = len(load.outcomes)
        run(standby, "SELECT pg_promote()")
        until(lambda: any(outcome.is_acknowledged for outcome in load.outcomes[refused:]), "an enrollment afterwards")
        outcomes = load.stop()
        restarts = len(service.workers()) - 2
    finally:
        load.stop()
        service.end()

    enrolled = set(run(standby, "SELECT student_id, course_id FROM student_courses WHERE status = 'enrolled'"))
    acknowledged = {(outcome.student_id, outcome.course_id) for outcome in outcomes if outcome.is_acknowledged}
    assert acknowledged <= enrolled
    assert {outcome.status for outcome in outcomes} <= {201, 503}
    assert all(outcome.may_retry for outcome in outcomes if outcome.status == 503)
    assert restarts == 0
    with create_app({"DATABASE_URL": url.render_as_string(hide_password=False)}).app_context():
        assert not [finding for finding in verify() if finding.evidence]
        db.engine.dispose()
