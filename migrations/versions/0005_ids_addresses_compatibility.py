"""Ids that every client knows exactly, one form of each e-mail address, and which versions fit this schema.

- Every id is from 1 to 2^53-1, by a CHECK: JavaScript, and so JSON in many clients, knows no larger integers.
- `created_at` has a default, so that rows written by hand need not say it.
- `students.email` is stored in its canonical form, so that its unique constraint compares addresses and not spellings.
- `courses.last_event_at` (filled by 0006).
- `schema_compatibility` says how old a version of the service may be that works with this schema.

Rows that break a new constraint stop the migration with a sentence that lists them; nothing is changed.

On PostgreSQL the constraints lock the tables until the migration commits, so that requests wait or get 503 meanwhile:
one pass over each table (a second for five million ledger lines). On SQLite all tables are rebuilt.

Revision: 0005, after 0004
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from course_management.database.migrations import MigrationRefused
from course_management.database.rebuilding import rebuild, replacing, together, with_lines, without_lines

# Not a frozen copy: the stored form must be the one that the running version computes.
from course_management.schemas.email_addresses import canonical_address

revision = "0005"
down_revision = "0004"

MAX_ID = 9007199254740991
IDS = {
    "students": ("id",),
    "courses": ("id",),
    "student_courses": ("student_id", "course_id", "queue_number"),
    "enrollment_events": ("id", "student_id", "course_id"),
    "api_keys": ("id",),
    "accounts": ("id", "student_id"),
    "advisees": ("account_id", "student_id"),
}
CREATED = ("students", "courses", "api_keys", "accounts")
LEAST = {"queue_number": 0}
SHOWN = 20
"""Rows that a refusal lists."""


def upgrade() -> None:
    """Check the data, then change the tables."""
    postgresql = op.get_context().dialect.name == "postgresql"
    if op.get_context().as_sql and not postgresql:
        raise MigrationRefused("SQLite tables are rebuilt from what they are, so there is no SQL script of it.")
    if not op.get_context().as_sql:  # a script cannot look: its constraints stop it, and `verify` names addresses
        _refuse_ids()
        _canonical_addresses()
    op.create_table(
        "schema_compatibility",
        sa.Column("oldest_revision", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("oldest_revision", name="pk_schema_compatibility"),
    )
    # No version before this one reads the table.
    op.execute("INSERT INTO schema_compatibility (oldest_revision) VALUES ('0005')")
    if postgresql:
        op.add_column("courses", sa.Column("last_event_at", sa.DateTime(timezone=True)))
        for table, columns in IDS.items():
            added = ", ".join(f"ADD {_check(table, column)}" for column in columns)  # one pass over the table
            op.execute(f"ALTER TABLE {table} {added}")
        for table in CREATED:
            op.execute(f"ALTER TABLE {table} ALTER created_at SET DEFAULT CURRENT_TIMESTAMP")
    else:
        changes = {
            table: [with_lines(*(_check(table, column) for column in columns), before="FOREIGN KEY")]
            for table, columns in IDS.items()
        }
        for table in CREATED:
            changes[table] += [replacing(CREATED_BEFORE, CREATED_AFTER)]
        changes["courses"] += [with_lines("last_event_at DATETIME", before="CONSTRAINT")]
        rebuild(op.get_bind(), {table: together(*parts) for table, parts in changes.items()})


def downgrade() -> None:
    """Take the constraints, the defaults, the column and the table away; addresses stay as they are."""
    if op.get_context().dialect.name == "postgresql":
        for table in CREATED:
            op.execute(f"ALTER TABLE {table} ALTER created_at DROP DEFAULT")
        for table, columns in IDS.items():
            for column in columns:
                op.drop_constraint(op.f(f"ck_{table}_{column}_in_range"), table)
        op.drop_column("courses", "last_event_at")
    else:
        changes = {
            table: [without_lines(*(f"CONSTRAINT ck_{table}_{column}_in_range" for column in columns))]
            for table, columns in IDS.items()
        }
        for table in CREATED:
            changes[table] += [replacing(CREATED_AFTER, CREATED_BEFORE)]
        changes["courses"] += [without_lines("last_event_at")]
        rebuild(op.get_bind(), {table: together(*parts) for table, parts in changes.items()})
    op.drop_table("schema_compatibility")


CREATED_BEFORE = "created_at DATETIME NOT NULL"
CREATED_AFTER = "created_at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL"


def _check(table: str, column: str) -> str:
    return f"CONSTRAINT ck_{table}_{column}_in_range CHECK ({_range(column)})"


def _range(column: str) -> str:
    return f"{column} BETWEEN {LEAST.get(column, 1)} AND {MAX_ID}"


def _refuse_ids() -> None:
    """Stop at ids that break the new constraints. Raises `MigrationRefused`."""
    found: list[str] = []
    for table, columns in IDS.items():
        for column in columns:
            outside = f"NOT ({_range(column)})"
            statement = f"SELECT {column} FROM {table} WHERE {outside} ORDER BY {column} LIMIT {SHOWN + 1}"  # noqa: S608
            rows = op.get_bind().execute(sa.text(statement)).scalars().all()
            if rows:
                found.append(f"  {table}.{column}: {_listed(rows)}")
    if found:
        raise MigrationRefused(
            f"Nothing was changed: this version takes ids from 1 to {MAX_ID} (2^53-1) only, and the database has "
            "others. Change these rows, then migrate again:\n" + "\n".join(found)
        )


def _canonical_addresses() -> None:
    """Store each e-mail address in its canonical form. Raises `MigrationRefused` when two students would have one."""
    connection = op.get_bind()
    changed: dict[int, str] = {}
    for student_id, email in connection.execute(sa.text("SELECT id, email FROM students ORDER BY id")):
        try:
            canonical = canonical_address(email)
        except ValueError:
            continue  # not an address: somebody wrote it with SQL. It stays as it is
        if canonical != email:
            changed[student_id] = canonical
    students: dict[str, list[int]] = defaultdict(list)
    for student_id, email in changed.items():
        students[email].append(student_id)
    same = sa.text("SELECT id FROM students WHERE email = :email")
    for email, ids in students.items():
        ids += [each for each in connection.execute(same, {"email": email}).scalars() if each not in changed]
    twins = [sorted(ids) for ids in students.values() if len(ids) > 1]
    if twins:
        raise MigrationRefused(
            "Nothing was changed: these students have the same e-mail address, written in different ways. Change or "
            "delete one of each, then migrate again:\n"
            + "\n".join(f"  students {_listed(ids)}" for ids in twins[:SHOWN])
            + (f"\n  and {len(twins) - SHOWN} more" if len(twins) > SHOWN else "")
        )
    if changed:
        # In two steps: one student's new address may be the old spelling of another's.
        parameters = [{"id": student_id, "email": email} for student_id, email in changed.items()]
        connection.execute(sa.text("UPDATE students SET email = 'migrating ' || id WHERE id = :id"), parameters)
        connection.execute(sa.text("UPDATE students SET email = :email WHERE id = :id"), parameters)


def _listed(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids[:SHOWN])) + (" and more" if len(ids) > SHOWN else "")
