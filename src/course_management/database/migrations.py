"""The migrations: where they are, and running them.

A checkout has them at its top level, a wheel inside the package. Alembic is imported when it is needed, because a
server never needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .schema import SchemaState

if TYPE_CHECKING:
    from alembic.config import Config

PACKAGE = Path(__file__).parent.parent
ANNOUNCE = "announce"
"""The attribute of Alembic's configuration in which `migrations/env.py` finds the function to call per migration."""


class MigrationRefused(Exception):
    """The schema is as it was. The message is a sentence that says why."""


def folder(package: Path = PACKAGE) -> Path:
    """Return the folder of the migrations: inside the installed `package`, or in the checkout that it is part of."""
    packed = package / "migrations"
    return packed if packed.is_dir() else package.parent.parent / "migrations"


def config(announce: Callable[[str, str], None] | None = None) -> Config:
    """Return a configuration for Alembic that needs no `alembic.ini`; `announce` as in `upgrade`."""
    from alembic.config import Config  # noqa: PLC0415 - see above

    made = Config()
    made.set_main_option("script_location", str(folder()).replace("%", "%%"))
    made.attributes[ANNOUNCE] = announce
    return made


def upgrade(announce: Callable[[str, str], None] | None = None) -> None:
    """Migrate the database of DATABASE_URL to the newest schema, whole or not at all.

    `announce` gets the revision and the title of each migration as soon as it ran; they are committed together when
    this function returns. Raises `MigrationRefused`.
    """
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.script.revision import ResolutionError  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    try:
        command.upgrade(config(announce), "head")
    except CommandError as error:
        if isinstance(error.__cause__, ResolutionError):
            raise MigrationRefused(str(SchemaState(error.__cause__.argument).problem)) from None
        raise MigrationRefused(f"The database was not migrated: {error}") from None
