"""Databases that are schemas of one database: one per school, on plain PostgreSQL or on Citus."""

from __future__ import annotations

from pathlib import Path

import psycopg
from sqlalchemy.engine import URL

from .databases import FIXED_TABLES, Databases, migrate

SHAPE = """
SELECT string_agg(part, ' ' ORDER BY part) FROM (
    SELECT relname || attname || atttypid || atttypmod || attnotnull AS part
    FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid WHERE relnamespace = current_schema()::regnamespace
    UNION ALL
    SELECT relname || tgname || tgenabled::text FROM pg_trigger JOIN pg_class ON tgrelid = pg_class.oid
    WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal
    UNION ALL SELECT conname FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
) AS parts
"""
TABLES = f"""
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND relname <> ALL (ARRAY{[*FIXED_TABLES]})
"""
RESTART_SEQUENCES = """
SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence JOIN pg_class ON oid = seqrelid
WHERE relnamespace = current_schema()::regnamespace
"""


def school(server: URL, name: str) -> URL:
    """Return the address of a schema, as the documentation writes it."""
    return server.update_query_dict({"options": f"-csearch_path={name}"})


class Schools(Databases):
    """Schemas for tests. One that a test gives back is emptied and lent again, unless its tables were changed."""

    def __init__(self, folder: Path, server: URL, *, template: bool = True) -> None:
        with _connect(server) as connection:
            self._is_citus = bool(connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'citus'").fetchone())
        self.backend, self.folder, self.made, self.server = "postgresql", folder, 0, server
        self._free: list[URL] = []
        self._cleaners: dict[URL, psycopg.Connection] = {}
        if template:
            self.template = self.migrated()

    def migrated(self) -> URL:
        """Return a school at the migration head, without a row."""
        if self._free:
            return self._free.pop()
        url = self.empty()
        migrate(url)
        return url

    def drop(self, url: URL) -> None:
        """Take one back."""
        if self._is_emptied(url):
            self._free.append(url)
        else:
            self.run(f"DROP SCHEMA {_name(url)} CASCADE")

    def empty(self) -> URL:
        """Return a school without a table."""
        assert self.server is not None
        self.made += 1
        name = f"{self.folder.name.replace('-', '_')}_{self.made}"
        with _connect(self.server) as connection:
            if self._is_citus:
                connection.execute("SET citus.enable_schema_based_sharding = on")
            connection.execute(f"CREATE SCHEMA {name}")
        return school(self.server, name)

    def _is_emptied(self, url: URL) -> bool:
        with _connect(self.template) as template:
            expected = template.execute(SHAPE).fetchone()
        with _connect(url) as connection:
            if connection.execute(SHAPE).fetchone() != expected:
                return False
            tables = connection.execute(TABLES).fetchall()
            with connection.transaction():
                if self._is_citus:
                    connection.execute("SET LOCAL citus.propagate_set_commands = 'local'")
                connection.execute("SET LOCAL session_replication_role = replica")  # the ledger refuses it otherwise
                for (table,) in tables:
                    connection.execute(f"DELETE FROM {table}")  # Citus truncates by triggers, which are off here
            connection.execute(RESTART_SEQUENCES)
        return True


def _name(url: URL) -> str:
    return str(url.query["options"]).removeprefix("-csearch_path=")


def _connect(url: URL) -> psycopg.Connection:
    conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(conninfo, autocommit=True)
