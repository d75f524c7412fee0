"""Whether the database has a schema that this version can work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, column, select, table

from .base import SCHEMA_REVISION
from .running import autocommit

NEWER = "The database is newer than this version"
"""How the sentence about a schema of a later version begins."""

_REVISION: Select[Any] = select(column("version_num")).select_from(table("alembic_version"))
_OLDEST: Select[Any] = select(column("oldest_revision")).select_from(table("schema_compatibility"))


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The migration a database is at (None: at none), and, where it is newer than this version, what that needs.

    Revisions are numbers of four digits, so that their order is that of text.
    """

    revision: str | None
    oldest_revision: str | None = None

    @property
    def is_newer(self) -> bool:
        """Whether the schema was made by a version that this one does not know."""
        return self.revision is not None and self.revision > SCHEMA_REVISION

    @property
    def problem(self) -> str | None:
        """Why this version cannot work with the schema and what to do, as a sentence; None if it can."""
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
    """Read the state of the schema. One statement, and a second one where the schema is newer than this version."""
    rows = autocommit(_REVISION)
    state = SchemaState(rows[0].version_num if len(rows) == 1 else None)
    if state.is_newer:
        oldest = autocommit(_OLDEST)
        return SchemaState(state.revision, oldest[0].oldest_revision if len(oldest) == 1 else None)
    return state
