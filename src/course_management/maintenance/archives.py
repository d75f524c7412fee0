"""Backups as files: a consistent copy of a SQLite database, or an archive of pg_dump.

A new file is readable by its owner only, and gets its name when it is complete. Passwords go to the tools of PostgreSQL
in the environment: a command line can be read by every user of the machine.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection
from sqlalchemy.engine import URL

SQLITE, POSTGRESQL = "sqlite", "postgresql"
SIGNATURES = {b"SQLite format 3\0": SQLITE, b"PGDMP": POSTGRESQL}
"""How files begin, and of which kind of database they are a backup."""
LOCK_TIMEOUT_MS = 10_000


class ArchiveError(Exception):
    """A backup could not be written or restored; what existed is unchanged. The text is a sentence."""


class TargetNotEmpty(ArchiveError):
    """Restoring is refused, because it would overwrite something."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program of PostgreSQL with its arguments, and the environment that has its password."""

    arguments: Sequence[str]
    environment: Mapping[str, str]

    def __str__(self) -> str:
        """Return the command for a shell, without the password."""
        return shlex.join(self.arguments)

    def problem(self, server_version: int) -> str | None:
        """Return why the program cannot be used with a server of this major version, in a sentence."""
        name = self.arguments[0]
        if not shutil.which(name):
            return f"{name} is not installed here."
        printed = subprocess.run([name, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
        version = re.search(r"(\d+)", printed.stdout)
        if not version or int(version[1]) < server_version:
            return (
                f"{name} must be of version {server_version} or newer, as the server; it is {printed.stdout.strip()}."
            )
        return None

    def run(self) -> None:
        """Run the program. Raises `ArchiveError` with its message."""
        ended = subprocess.run(  # noqa: S603 - no shell
            self.arguments, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False
        )
        if ended.returncode:
            message = " ".join(ended.stderr.split())
            for secret in filter(None, self.environment.values()):
                message = message.replace(secret, "***")
            raise ArchiveError(f"{self.arguments[0]} has failed: {message}")


def pg_dump(url: URL, schema: str, file: Path) -> Tool:
    """Return the command that writes an archive. If the tables are not in the `schema` public, only that one."""
    return _tool(
        url,
        ["pg_dump", "--format=custom", f"--lock-wait-timeout={LOCK_TIMEOUT_MS}", f"--file={file}"]
        # The schema `public` exists in each new database, where an archive of it alone would create it again.
        + ([f"--schema={schema}"] if schema != "public" else []),
    )


def pg_restore(url: URL, file: Path) -> Tool:
    """Return the command that restores an archive into an empty database, all or nothing."""
    command = ["pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
    tool = _tool(url, command)
    return Tool([*tool.arguments, str(file)], tool.environment)


def _tool(url: URL, command: Sequence[str]) -> Tool:
    if "sslpassword" in url.query:
        raise ArchiveError(
            f"{command[0]} cannot be given the sslpassword of DATABASE_URL without showing it to all users of this "
            "machine. Use a client key without a password, readable by its owner only."
        )
    parameters: dict[str, Any] = {
        "host": url.host, "port": url.port, "user": url.username, "dbname": url.database,
        **{name: ",".join(value) if isinstance(value, tuple) else value for name, value in url.query.items()},
    }  # fmt: skip
    password = parameters.pop("password", None) or url.password
    conninfo = make_conninfo(**{name: value for name, value in parameters.items() if value is not None})
    return Tool([*command, f"--dbname={conninfo}"], {"PGPASSWORD": password} if password else {})


@contextmanager
def new_file(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a block an empty file of mode 600 in the folder of `path`, which gets that name after the block.

    Raises `ArchiveError` if `path` exists, unless it may be replaced.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written: {error.strerror}.") from None
    temporary = Path(name)
    try:
        yield temporary
        os.fsync(descriptor)
        if replace:
            temporary.replace(path)
        else:
            os.link(temporary, path)  # unlike renaming, it fails if the name exists
        _sync_folder(path.parent)
    except FileExistsError:
        raise ArchiveError(f"{path} exists already. Choose another name, or move it away.") from None
    finally:
        os.close(descriptor)
        for left in (temporary, *(Path(f"{temporary}{ending}") for ending in ("-wal", "-shm", "-journal"))):
            with suppress(FileNotFoundError):
                left.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_sqlite(source: sqlite3.Connection, path: Path) -> None:
    """Copy a database in use into the empty file `path`, as it is at one moment, and check the copy."""
    with closing(sqlite3.connect(path, isolation_level=None)) as copy:
        try:
            # All pages in one step: with smaller ones, each write of the service would start the copy again.
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # everything in one file
            # quick_check of SQLite 3.40 finds null values in tables WITHOUT ROWID where there are none.
            problems = [row[0] for row in copy.execute("PRAGMA integrity_check(1)")]
        except sqlite3.Error as error:
            raise ArchiveError(f"The database cannot be copied: {error}.") from None
    if problems != ["ok"]:
        raise ArchiveError(f"The database is damaged: {problems[0]}. Nothing was written.")


def restore_sqlite(file: Path, target: Path) -> None:
    """Copy a backup to the place of a database that does not exist yet. Raises `TargetNotEmpty`."""
    left = [str(path) for path in (target, *(Path(f"{target}{end}") for end in ("-wal", "-shm"))) if path.exists()]
    if left:
        raise TargetNotEmpty(
            f"The target is not empty: {', '.join(left)} exists. Stop the service, move the file away with its -wal "
            "and -shm, and restore again."
        )
    address = f"{file.resolve().as_uri()}?mode=ro"
    with new_file(target) as temporary, closing(sqlite3.connect(address, uri=True)) as backup:
        copy_sqlite(backup, temporary)
        if not backup.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            raise ArchiveError(f"{file} is a database of something else: it has no alembic_version.")


def kind_of_archive(file: Path) -> str:
    """Return the kind of database that a file is a backup of. Raises `ArchiveError`."""
    try:
        with file.open("rb") as content:
            beginning = content.read(max(map(len, SIGNATURES)))
    except OSError as error:
        raise ArchiveError(f"{file} cannot be read: {error.strerror}.") from None
    for signature, kind in SIGNATURES.items():
        if beginning.startswith(signature):
            return kind
    raise ArchiveError(
        f"{file} is not a backup: neither a SQLite database nor an archive of pg_dump in its custom format."
    )


def place_of_tables(connection: Connection) -> tuple[str, int]:
    """Return the schema that has the tables on PostgreSQL, or will have them, and the major version of the server."""
    schema, version = connection.exec_driver_sql("SELECT current_schema(), current_setting('server_version_num')").one()
    return str(schema), int(version) // 10_000


def is_without_tables(connection: Connection) -> bool:
    """Return whether a PostgreSQL database has no table where the service looks for its own."""
    return not connection.exec_driver_sql(
        "SELECT 1 FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace LIMIT 1"
    ).first()
