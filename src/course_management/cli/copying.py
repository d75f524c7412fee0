"""`course-management copy`: copy the whole database into an empty one of either kind."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ..config import Settings
from ..database import (
    SCHEMA_REVISION,
    Unavailable,
    failure_text,
    is_missing,
    migration_engine,
    migrations,
    schema_state,
    snapshot,
)
from ..database_urls import database_url
from ..maintenance import copying
from ..urls import without_password
from .service import Refusal, service
from .verify import show_findings

BUSY_TIMEOUT_MS = 10_000


def _checked(_: click.Context, __: click.Parameter, value: str) -> URL:
    try:
        return database_url(value)
    except ValueError as error:
        raise click.BadParameter(f"The URL {error}.") from None


@click.command("copy")
@click.option(
    "--to",
    "target",
    metavar="URL",
    required=True,
    envvar="TARGET_DATABASE_URL",
    callback=_checked,
    help="The database to fill, as in DATABASE_URL. Other users of the machine can see a command line: with a "
    "password, set the variable TARGET_DATABASE_URL instead.",
)
def copy_database(target: URL) -> None:
    """Copy everything into an empty database: from SQLite to PostgreSQL, back, or between two of a kind.

    All tables, the ledger, counters and sequences are copied as they are at one moment; the service can be in use, but
    its later changes are not copied. A database without tables is migrated first. Everything is copied or nothing, then
    compared row by row, and verified.
    """
    settings = Settings.load()
    if settings.database_url == target:
        raise click.BadParameter("This is the database of DATABASE_URL itself.", param_hint="--to")
    with service(), snapshot() as source:
        if (revision := schema_state().revision) != SCHEMA_REVISION:
            raise click.ClickException(
                f"The database has the schema {revision}, and this version copies {SCHEMA_REVISION} only. Use the "
                "version that migrated it."
            )
        for name in copying.unknown_tables(source):
            click.echo(f"Warning: the table {name} does not belong to this service and is not copied.", err=True)
        _copy(source, target)
    click.echo("Checking the copy ...")
    with service(database=target):
        broken = show_findings(is_copy=True)
    if broken:
        click.echo("The source has the same findings: see `course-management verify` there.", err=True)
        raise SystemExit(1)
    password = " with its password" if target.password else ""
    click.echo(f"The copy is complete. To use it, set DATABASE_URL to {without_password(target)}{password}.")


def _copy(source: Connection, target: URL) -> None:
    engine = migration_engine(target, BUSY_TIMEOUT_MS)
    try:
        _prepare(target)
        seal = copying.copy(source, engine, _show)
    except copying.TargetNotEmpty as refusal:
        raise Refusal(str(refusal)) from None
    except copying.CopyRefused as refusal:
        raise click.ClickException(str(refusal)) from None
    except Unavailable as error:
        raise click.ClickException(f"{error} Nothing was copied.") from None
    except DBAPIError as error:
        raise click.ClickException(
            f"The target cannot be used ({failure_text(error, target)}). Nothing was copied. Check its URL, its "
            "server, and that its role owns the tables."
        ) from None
    finally:
        engine.dispose()
    click.echo(f"The ledger has {seal.lines:,} lines on both sides, with the SHA-256 {seal.sha256}.")


def _show(table: str, rows: int, is_finished: bool) -> None:
    if is_finished:
        click.echo(f"{table:20} {rows:>12,} rows")
    elif sys.stdout.isatty():
        click.echo(f"{table:20} {rows:>12,} ...\r", nl=False)


def _prepare(target: URL) -> None:
    """Migrate a target without tables. Raises `CopyRefused` if it has another schema."""
    revision = _revision(target)
    if revision is None:
        try:
            migrations.upgrade(lambda *_: None, target)
        except migrations.MigrationRefused as error:
            raise copying.CopyRefused(str(error)) from None
        click.echo(f"Created the tables of the schema {SCHEMA_REVISION}.")
    elif revision != SCHEMA_REVISION:
        raise copying.CopyRefused(
            f"The target has the schema {revision}, and the source {SCHEMA_REVISION}. Nothing was copied. Create a new "
            "database, and copy into that."
        )


def _revision(target: URL) -> str | None:
    if target.get_backend_name() == "sqlite" and not Path(str(target.database)).exists():
        return None
    engine = migration_engine(target, BUSY_TIMEOUT_MS)
    try:
        with engine.connect() as connection:
            return connection.execute(text("SELECT max(version_num) FROM alembic_version")).scalar()
    except SQLAlchemyError as error:
        if is_missing(error):
            return None
        raise
    finally:
        engine.dispose()
