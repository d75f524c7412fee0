"""The schema of the database: whether this version can work with it, and migrating it.

Migrations are at the top level of a checkout and inside the package in a wheel. Alembic is imported only where it is
needed, because a server never needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Select, column, select, table

from .base import SCHEMA_REVISION, migrations_folder
from .execute import autocommit

if TYPE_CHECKING:
    from alembic.config import Config

NEWER = "The database is newer than this version"
"""Beginning of the sentence about a schema of a later version."""
ANNOUNCE = "announce"
"""The attribute of Alembic's configuration in which `migrations/env.py` finds the function to call per migration."""
DATABASE = "database_url"
"""The attribute in which it finds the URL of another database than that of DATABASE_URL."""


_REVISION: Select[Any] = select(column("version_num")).select_from(table("alembic_version"))
_OLDEST: Select[Any] = select(column("oldest_revision")).select_from(table("schema_compatibility"))


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The migration of a database (None: never migrated), and the oldest version that its schema still serves.

    Revisions are numbers of four digits, so their order is that of text.
    """

    revision: str | None
    oldest_revision: str | None = None

    @property
    def is_newer(self) -> bool:
        """Whether a later version than this one made the schema."""
        return self.revision is not None and self.revision > SCHEMA_REVISION

    @property
    def problem(self) -> str | None:
        """Why this version cannot work with the schema and what to do, in a sentence; None if it can."""
        if self.is_newer:
            if self.oldest_revision is not None and self.oldest_revision <= SCHEMA_REVISION:
                return None
            return (
                f"{NEWER}: its schema is {self.revision}, and this version is for "
                f"{SCHEMA_REVISION}. Use the version of the service that migrated it, or a later one."
            )
        if self.revision == SCHEMA_REVISION:
            return None
        return (
            f"The database is at migration {self.revision or 'none'}, and this version needs {SCHEMA_REVISION}: run "
            "`course-management migrate`."
        )


def schema_state() -> SchemaState:
    """Read the state of the schema: one statement, two if the schema is newer than this version."""
    rows = autocommit(_REVISION)
    state = SchemaState(rows[0].version_num if len(rows) == 1 else None)
    if state.is_newer:
        oldest = autocommit(_OLDEST)
        return SchemaState(state.revision, oldest[0].oldest_revision if len(oldest) == 1 else None)
    return state


class MigrationRefused(Exception):
    """The schema was not changed. The message is a sentence that says why."""


def config(announce: Callable[[str, str], None] | None = None, url: URL | None = None) -> Config:
    """Return a configuration for Alembic that needs no `alembic.ini`; the arguments are those of `upgrade`."""
    from alembic.config import Config  # noqa: PLC0415 - see above

    configuration = Config()
    configuration.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    configuration.attributes[ANNOUNCE] = announce
    configuration.attributes[DATABASE] = url
    return configuration


def upgrade(announce: Callable[[str, str], None] | None = None, url: URL | None = None) -> None:
    """Migrate the database of `url`, or of DATABASE_URL, to the newest schema, all migrations or none.

    `announce` is called with the revision and the title of each migration after it ran; they are committed together
    when this function returns. Raises `MigrationRefused`.
    """
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.script.revision import ResolutionError  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    try:
        command.upgrade(config(announce, url), "head")
    except CommandError as error:
        if isinstance(error.__cause__, ResolutionError):
            raise MigrationRefused(str(SchemaState(error.__cause__.argument).problem)) from None
        raise MigrationRefused(f"The database was not migrated: {error}") from None
