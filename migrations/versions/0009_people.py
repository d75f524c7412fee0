"""People with several roles, and sign-in accounts that point at a person or at a student.

Before, an account was one role: staff were accounts, and so was each subject of a student. Now `people` are the staff,
with any number of roles and accounts; `advisees` says which person advises which student. A person of staff keeps the
number of the old account (`people.id`), so that actors in the ledger, such as `advisor:2`, stay true; its name is the
subject until it is changed. New people get numbers above all that accounts ever had.

An older version reads columns that are gone, so it does not work with this schema.

`accounts` and `advisees` are made anew: few rows, and the same statements on both databases.

Revision: 0009, after 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

# Not a frozen copy: the stored form must be the one that the running version computes.
from course_management.models.search import search_text_of

revision = "0009"
down_revision = "0008"

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.DateTime(timezone=True)
NOW = sa.text("CURRENT_TIMESTAMP")
MAX_ID = 9007199254740991


def upgrade() -> None:
    """Keep the rows of the two tables aside, make all four, and put the rows where they belong now."""
    _set_aside("accounts", "advisees")
    op.create_table(
        "people",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("given_name", sa.String(200)),
        sa.Column("family_name", sa.String(200)),
        sa.Column("email", sa.String(254)),
        sa.Column("external_id", sa.String(255)),
        sa.Column("student_id", ID),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("updated_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("search_text", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
        sa.UniqueConstraint("external_id", name="uq_people_external_id"),
        sa.UniqueConstraint("student_id", name="uq_people_student_id"),
        *_in_range("people", "id", "student_id"),
        sa.ForeignKeyConstraint(["student_id"], ["students.id"], name="fk_people_student_id", ondelete="SET NULL"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "person_roles",
        sa.Column("person_id", ID, autoincrement=False, nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "role", name="pk_person_roles"),
        sa.CheckConstraint("role IN ('advisor', 'registrar')", name=op.f("ck_person_roles_role_known")),
        *_in_range("person_roles", "person_id"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_person_roles_person_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "accounts",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("issuer", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("person_id", ID),
        sa.Column("student_id", ID),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("issuer", "subject", name="uq_accounts_issuer_subject"),
        sa.CheckConstraint("(person_id IS NULL) <> (student_id IS NULL)", name=op.f("ck_accounts_person_or_student")),
        *_in_range("accounts", "id", "person_id", "student_id"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_accounts_person_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["student_id"], ["students.id"], name="fk_accounts_student_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_accounts_person_id", "accounts", ["person_id"])
    op.create_index("ix_accounts_student_id", "accounts", ["student_id"])
    _create_advisees("person_id", "people")
    for statement in (
        (
            "INSERT INTO people (id, name, created_at)"
            " SELECT id, substr(subject, 1, 200), created_at FROM accounts_before WHERE role <> 'student'"
        ),
        "INSERT INTO person_roles (person_id, role) SELECT id, role FROM accounts_before WHERE role <> 'student'",
        (
            "INSERT INTO accounts (id, issuer, subject, person_id, student_id, created_at)"
            " SELECT id, issuer, subject, CASE WHEN role <> 'student' THEN id END, student_id, created_at"
            " FROM accounts_before"
        ),
        # Written by hand, a student could be an adviser; that had no effect.
        (
            "INSERT INTO advisees (person_id, student_id) SELECT account_id, student_id FROM advisees_before"
            " WHERE account_id IN (SELECT id FROM people)"
        ),
    ):
        op.execute(statement)
    if not op.get_context().as_sql:  # a script cannot: rows without it are not found by words
        _fill_search_text()
    for table in ("accounts", "people"):
        _continue_ids(table)
    _forget("accounts", "advisees")
    op.execute("UPDATE schema_compatibility SET oldest_revision = '0009'")


def downgrade() -> None:
    """Give each account of a person its strongest role. People without account or role have no place, and go."""
    _set_aside("people", "person_roles", "accounts", "advisees")
    op.create_table(
        "accounts",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("issuer", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("student_id", ID),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("issuer", "subject", name="uq_accounts_issuer_subject"),
        sa.CheckConstraint("role IN ('student', 'advisor', 'registrar')", name=op.f("ck_accounts_role_known")),
        sa.CheckConstraint("(role = 'student') = (student_id IS NOT NULL)", name=op.f("ck_accounts_student_iff_role")),
        *_in_range("accounts", "id", "student_id"),
        sa.ForeignKeyConstraint(["student_id"], ["students.id"], name="fk_accounts_student_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_accounts_student_id", "accounts", ["student_id"])
    _create_advisees("account_id", "accounts")
    first = "(SELECT min(id) FROM accounts_before AS same WHERE same.person_id = accounts_before.person_id)"
    # max: 'registrar' comes behind 'advisor'
    role = "(SELECT max(role) FROM person_roles_before AS roles WHERE roles.person_id = accounts_before.person_id)"
    op.execute(
        "INSERT INTO accounts (id, issuer, subject, role, created_at)"  # noqa: S608 - no values
        f" SELECT person_id, issuer, subject, {role}, created_at FROM accounts_before"
        f" WHERE accounts_before.id = {first} AND {role} IS NOT NULL"
    )
    for table in ("accounts", "people"):
        _continue_ids("accounts", of=table)
    op.execute(
        "INSERT INTO accounts (issuer, subject, role, student_id, created_at)"  # noqa: S608 - no values
        f" SELECT issuer, subject, coalesce({role}, 'student'), student_id, created_at FROM accounts_before"
        f" WHERE student_id IS NOT NULL OR (accounts_before.id <> {first} AND {role} IS NOT NULL)"
        " ORDER BY accounts_before.id"
    )
    op.execute(
        "INSERT INTO advisees (account_id, student_id) SELECT person_id, student_id FROM advisees_before"
        " WHERE person_id IN (SELECT id FROM accounts)"
    )
    _forget("people", "person_roles", "accounts", "advisees")
    op.execute("UPDATE schema_compatibility SET oldest_revision = '0008'")


def _fill_search_text() -> None:
    people = op.get_bind().execute(sa.text("SELECT id, name FROM people")).all()
    if people:
        update = sa.text("UPDATE people SET search_text = :words WHERE id = :id")
        op.get_bind().execute(update, [{"id": each.id, "words": search_text_of([each.name])} for each in people])


def _create_advisees(column: str, table: str) -> None:
    op.create_table(
        "advisees",
        sa.Column(column, ID, autoincrement=False, nullable=False),
        sa.Column("student_id", ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint(column, "student_id", name="pk_advisees"),
        *_in_range("advisees", column, "student_id"),
        sa.ForeignKeyConstraint([column], [f"{table}.id"], name=f"fk_advisees_{column}", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["student_id"], ["students.id"], name="fk_advisees_student_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_advisees_student_id", "advisees", ["student_id"])


def _in_range(table: str, *columns: str) -> list[sa.CheckConstraint]:
    return [
        sa.CheckConstraint(f"{each} BETWEEN 1 AND {MAX_ID}", name=op.f(f"ck_{table}_{each}_in_range"))
        for each in columns
    ]


def _set_aside(*tables: str) -> None:
    """Keep the rows and the last ids of tables, in temporary tables, and drop the tables."""
    for table in tables:
        op.execute(f"CREATE TEMPORARY TABLE {table}_before AS SELECT * FROM {table}")  # noqa: S608
        if table in {"accounts", "people"}:
            last = (
                f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS id FROM {table}_id_seq"  # noqa: S608
                if _is_postgresql()
                else f"SELECT coalesce(max(seq), 0) AS id FROM sqlite_sequence WHERE name = '{table}'"  # noqa: S608
            )
            op.execute(f"CREATE TEMPORARY TABLE {table}_last AS {last}")
    for table in reversed(tables):
        op.drop_table(table)


def _continue_ids(table: str, of: str = "accounts") -> None:
    """Give new ids of a table above the last ones of the table `of`, and above its own."""
    last = f"greatest((SELECT id FROM {of}_last), (SELECT max(id) FROM {table}))"  # noqa: S608 - names of our own
    if _is_postgresql():
        now = f"(SELECT last_value FROM {table}_id_seq)"  # noqa: S608
        op.execute(f"SELECT setval('{table}_id_seq', greatest({last}, {now})) WHERE {last} > 0")
    else:
        op.execute(
            f"CREATE TEMPORARY TABLE ids AS SELECT max(id) AS id FROM ("  # noqa: S608
            f"SELECT id FROM {of}_last UNION ALL SELECT seq FROM sqlite_sequence WHERE name = '{table}')"
        )
        op.execute(f"DELETE FROM sqlite_sequence WHERE name = '{table}'")  # noqa: S608
        op.execute(f"INSERT INTO sqlite_sequence (name, seq) SELECT '{table}', id FROM ids WHERE id > 0")  # noqa: S608
        op.execute("DROP TABLE ids")


def _forget(*tables: str) -> None:
    for table in tables:
        op.execute(f"DROP TABLE {table}_before")
        if table in {"accounts", "people"}:
            op.execute(f"DROP TABLE {table}_last")


def _is_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"
