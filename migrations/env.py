"""How Alembic reaches the database: with the service's own settings, one migration run at a time.

A migration is one transaction on both databases: it happens whole or not at all.
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import MigrationScript
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import Script
from sqlalchemy import Column, Connection, DefaultClause, TextClause, TypeDecorator, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import False_, True_

from course_management import models  # noqa: F401 - fills Base.metadata
from course_management.config import ConfigurationError, Settings
from course_management.database import (
    SCHEMA_REVISION,
    Base,
    SchemaState,
    Unavailable,
    citus,
    failure_text,
    is_unavailable,
    kind_of,
    migration_engine,
)
from course_management.database.failures import remedy
from course_management.database.migrations import ANNOUNCE, DATABASE, MigrationRefused
from course_management.models.triggers.citus import CITUS

BUSY_TIMEOUT_MS = 60_000
LOCK_NOT_AVAILABLE, DEADLOCK = "55P03", "40P01"
LOCK_PATIENCE_S, LOCK_TIMEOUT = 10.0, "300ms"
"""How long a migration tries to lock the tables, and how long requests queue up behind one attempt per table."""
OLDEST_REVISION = text("SELECT oldest_revision FROM schema_compatibility")
MIGRATION_LOCK = 4_207_801  # any number, the same for every migration of this service


def compare_default(_: object, __: object, column: Column[Any], *___: object) -> bool | None:
    """Skip identity columns: SQLite has no IDENTITY and never reports one. Alembic compares all other defaults."""
    return False if column.identity is not None else None


def announce(ctx: MigrationContext, step: MigrationInfo, heads: object, run_args: object) -> None:  # noqa: ARG001 - Alembic names them
    """Report the migration that was applied to the caller of Alembic, if it gave a function for that."""
    tell = context.config.attributes.get(ANNOUNCE)
    if tell and isinstance(step.up_revision, Script):
        tell(step.up_revision.revision, step.up_revision.doc.splitlines()[0])


def prepare_revision(ctx: MigrationContext, _: object, directives: list[MigrationScript]) -> None:
    """Name a new migration by the next number, and give `script.py.mako` the oldest revision of the present schema."""
    for directive in directives:
        directive.rev_id = f"{int(SCHEMA_REVISION) + 1:04}"
    ctx.opts["template_args"]["oldest_revision"] = context.get_bind().scalar(OLDEST_REVISION)


def render_plain(kind: str, item: Any, _: AutogenContext) -> str | Literal[False]:
    """Write the types and defaults of the models as plain ones: a migration must not change with the code.

    Alembic would name the class of a type without importing it, and put parentheses around a default.
    """
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    if kind == "server_default" and isinstance(item, DefaultClause):
        if isinstance(item.arg, TextClause):
            return f"sa.text({item.arg.text!r})"
        if isinstance(item.arg, True_ | False_):
            return f"sa.{item.arg}()"
    return False


def run(connection: Connection) -> None:
    """Run the requested migrations on `connection`. A test may pass its own."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        compare_server_default=compare_default if connection.dialect.name == "sqlite" else True,
        transaction_per_migration=False,
        transactional_ddl=True,  # else Alembic commits after each migration on SQLite
        on_version_apply=announce,
        process_revision_directives=prepare_revision,
        render_item=render_plain,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # Two servers that start at once and both migrate: the second waits and then finds nothing to do.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            # Requests queue up behind a migration that waits for a table: not for longer than this.
            connection.execute(text("SET LOCAL lock_timeout = '10s'"))
        is_on_citus = citus.is_present(connection)
        if is_on_citus:
            citus.prepare_migrations(connection)
        if not newer_but_compatible(connection):
            if connection.dialect.name == "postgresql":
                lock_tables(connection)
            context.run_migrations()
            if is_on_citus and context.get_context().get_current_heads() == (SCHEMA_REVISION,):
                for statement in CITUS:
                    connection.execute(text(statement))


def lock_tables(connection: Connection) -> None:
    """Lock all tables at once, before the first migration: one after the other, they deadlock with requests.

    An attempt that has to wait for a request gives back what it has locked, so that this request can go on.
    """
    if context.get_context().get_current_heads() in {(), (SCHEMA_REVISION,)}:
        return  # there is nothing to migrate, or no table yet
    tables = ", ".join(sorted({*inspect(connection).get_table_names()} & {*Base.metadata.tables}))
    give_up_at = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            with connection.begin_nested():
                connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
                connection.execute(text(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"))
                connection.execute(text("SET LOCAL lock_timeout = '10s'"))
        except DBAPIError as error:
            if kind_of(error) not in {LOCK_NOT_AVAILABLE, DEADLOCK} or time.monotonic() > give_up_at:
                raise
            time.sleep(random.uniform(0.1, 0.3))  # noqa: S311 - jitter, no secret
        else:
            return


def newer_but_compatible(connection: Connection) -> bool:
    """Return whether a later version migrated the database and this version works with that schema.

    Raises `MigrationRefused` if it does not work with it.
    """
    heads = context.get_context().get_current_heads()
    state = SchemaState(heads[0] if heads else None)
    if not state.is_newer:
        return False
    oldest = connection.scalar(OLDEST_REVISION)
    if problem := SchemaState(state.revision, oldest).problem:
        raise MigrationRefused(problem)
    sys.stderr.write(f"The schema is {state.revision}, made by a later version; this version works with it.\n")
    return True


def online(settings: Settings) -> None:
    """Connect, and run. Without the time limits of the service: a migration may take long."""
    if settings.database_url.get_backend_name() == "sqlite":
        Path(str(settings.database_url.database)).touch(mode=0o600)  # readable by its owner only, and so is its WAL
    engine = migration_engine(settings.database_url, BUSY_TIMEOUT_MS)
    with engine.connect() as connection:
        run(connection)


def offline(settings: Settings) -> None:
    """Write the SQL instead of running it (`alembic upgrade head --sql`)."""
    context.configure(
        url=settings.database_url,
        target_metadata=Base.metadata,
        literal_binds=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


if ANNOUNCE not in context.config.attributes:  # else `course-management` has said it
    for problem in Settings.misspelled():
        sys.stderr.write(f"Warning: {problem}\n")
try:
    if context.is_offline_mode():
        offline(Settings.load())
    else:
        settings = Settings.load()
        online(replace(settings, database_url=context.config.attributes.get(DATABASE) or settings.database_url))
except ConfigurationError as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(2)
except MigrationRefused as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(1)
except DBAPIError as error:
    if kind_of(error) == LOCK_NOT_AVAILABLE:
        sys.stderr.write(
            "Another session, perhaps a backup, holds a lock on a table. Nothing was changed. Try again later.\n"
        )
    elif sentence := remedy(kind_of(error)):
        sys.stderr.write(f"{sentence}\n")
    elif is_unavailable(error):
        url = context.config.attributes.get(DATABASE) or Settings.load().database_url
        sys.stderr.write(f"The database cannot be reached: {failure_text(error, url)}\n")
    else:
        raise
    sys.exit(1)
except Unavailable as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(1)
