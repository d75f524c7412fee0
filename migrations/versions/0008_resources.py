"""What every resource has: `updated_at`, an id of the system the data came from, and a column to search words in.

- `updated_at` of students, courses and keys: when a client last changed one. Counters do not raise it. Existing rows
  get the time of the migration.
- `external_id` of students and courses: unique where present.
- `search_text` of students (name, email) and courses (code, title): normalized, filled here in batches.
- `students.email` may be null; it is unique where present.

An older version would neither raise `updated_at` nor follow `search_text`, so it does not work with this schema.

On PostgreSQL the columns are added without rewriting the tables; filling `search_text` updates each row of the two
tables once. On SQLite the three tables are rebuilt.

Revision: 0008, after 0007
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from course_management.database.migrations import MigrationRefused
from course_management.database.rebuilding import rebuild, replacing, together, with_lines, without_lines

# Not a frozen copy: the stored form must be the one that the running version computes.
from course_management.models.search import search_text_of

revision = "0008"
down_revision = "0007"

BATCH = 5_000
SEARCHED = {"students": ("name", "email"), "courses": ("code", "title")}
EMAIL_BEFORE, EMAIL_AFTER = "email VARCHAR(254) NOT NULL", "email VARCHAR(254)"
UPDATED = "updated_at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL"
ADDED = ("external_id VARCHAR(255)", UPDATED, "search_text TEXT")


def upgrade() -> None:
    """Add the columns, and fill `search_text`."""
    if _is_postgresql():
        op.execute("ALTER TABLE students ALTER email DROP NOT NULL")
        for table in SEARCHED:
            op.execute(
                f"ALTER TABLE {table} ADD external_id varchar(255), "
                "ADD updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP, ADD search_text text, "
                f"ADD CONSTRAINT uq_{table}_external_id UNIQUE (external_id)"
            )
        op.execute("ALTER TABLE api_keys ADD updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP")
    else:
        if op.get_context().as_sql:
            raise MigrationRefused("SQLite tables are rebuilt from what they are, so there is no SQL script of it.")
        changes = {
            table: [
                with_lines(*ADDED, before="CONSTRAINT"),
                with_lines(f"CONSTRAINT uq_{table}_external_id UNIQUE (external_id)", before="CONSTRAINT ck_"),
            ]
            for table in SEARCHED
        }
        changes["students"].append(replacing(EMAIL_BEFORE, EMAIL_AFTER))
        changes["api_keys"] = [with_lines(UPDATED, before="CONSTRAINT")]
        rebuild(op.get_bind(), {table: together(*parts) for table, parts in changes.items()})
    if not op.get_context().as_sql:  # a script cannot: rows without it are not found by words
        for table, columns in SEARCHED.items():
            _fill(table, columns)
    op.execute("UPDATE schema_compatibility SET oldest_revision = '0008'")


def downgrade() -> None:
    """Take the columns away. Students without an e-mail address get one that cannot exist."""
    op.execute("UPDATE students SET email = 'student-' || id || '@missing.invalid' WHERE email IS NULL")
    if _is_postgresql():
        op.execute("ALTER TABLE students ALTER email SET NOT NULL")
        for table in SEARCHED:
            op.execute(f"ALTER TABLE {table} DROP external_id, DROP updated_at, DROP search_text")
        op.execute("ALTER TABLE api_keys DROP updated_at")
    else:
        changes = {
            table: [without_lines(f"CONSTRAINT uq_{table}_external_id", "external_id", "updated_at", "search_text")]
            for table in SEARCHED
        }
        changes["students"].append(replacing(EMAIL_AFTER, EMAIL_BEFORE))
        changes["api_keys"] = [without_lines("updated_at")]
        rebuild(op.get_bind(), {table: together(*parts) for table, parts in changes.items()})
    op.execute("UPDATE schema_compatibility SET oldest_revision = '0005'")


def _fill(table: str, columns: Sequence[str]) -> None:
    update = sa.text(f"UPDATE {table} SET search_text = :words WHERE id = :id")  # noqa: S608 - names of our own
    for batch in _batches(table, columns):
        op.get_bind().execute(update, [{"id": each, "words": search_text_of(values)} for each, *values in batch])


def _batches(table: str, columns: Sequence[str]) -> Iterator[Sequence[Any]]:
    """Read the rows by id, so that memory does not depend on how many there are."""
    page = sa.text(
        f"SELECT id, {', '.join(columns)} FROM {table} WHERE id > :after ORDER BY id LIMIT {BATCH}"  # noqa: S608
    )
    after = 0
    while batch := op.get_bind().execute(page, {"after": after}).all():
        yield batch
        after = batch[-1].id


def _is_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"
