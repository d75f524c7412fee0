"""A migration waits 10 seconds for a table that another session keeps, and not longer: requests queue up behind it."""

from __future__ import annotations

import pytest

from tests.support.databases import Databases, migrate

from ..support.schemas import anatomy, connect


def test_a_backup_that_reads_a_table_stops_the_migration_and_nothing_else(
    backend: str, databases: Databases, capsys: pytest.CaptureFixture[str]
) -> None:
    if backend != "postgresql":
        pytest.skip("SQLite has one writer, and waits for it as a migration always did")
    url = databases.empty()
    migrate(url, "0004")
    before = anatomy(url)

    with connect(url).connect() as backup:
        backup.exec_driver_sql("LOCK TABLE students IN ACCESS SHARE MODE")
        with pytest.raises(SystemExit) as caught:
            migrate(url)

    assert caught.value.code == 1
    assert "holds a lock on a table" in capsys.readouterr().err
    assert anatomy(url) == before
    migrate(url)
    databases.drop(url)
