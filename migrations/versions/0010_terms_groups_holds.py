"""Terms, groups, holds and permissions: the data that the rules of registration use.

- New tables: `terms` with `registration_windows`; `groups` with `student_groups` and `course_restrictions`;
  `course_instructors`; `holds` and `permissions`; `rule_events`, their ledger, which is append only.
- Courses may belong to a term, have a component, require permission, and be closed. Codes are unique within a term, and
  among courses without one: two partial unique indexes take the place of the constraint.
- Enrollments and the ledger keep the reason that staff gave; enrollments say when and for what the rules passed over a
  waiting student. Students have a `schedule_revision`. Migration 0011 has the triggers that keep these columns.

Until a school creates its first term or closes a course, the version before this one works with the schema.

On PostgreSQL no table is rewritten; the new constraints read `courses` once. On SQLite, `courses` and `students` are
rebuilt, and columns are added to the other two tables.

Revision: 0010, after 0009
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from course_management.database.migrations import MigrationRefused
from course_management.database.rebuilding import rebuild, together, with_lines, without_lines

revision = "0010"
down_revision = "0009"

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
CODE = sa.String(50, collation="C").with_variant(sa.String(50), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)
NOW = sa.text("CURRENT_TIMESTAMP")
BY_HAND = sa.text("'database'")
MAX_ID = 9007199254740991
SHOWN = 20
Reference = tuple[str, str, str | None]
"""A column, the table it refers to, and what happens when the row there is deleted."""
TABLES = (
    *("rule_events", "permissions", "holds", "course_instructors", "course_restrictions", "student_groups"),
    *("registration_windows", "groups", "terms"),
)
ADDED = {
    "student_courses": (("reason", sa.String(500)), ("passed_over_at", MOMENT), ("passed_over_for", sa.String(500))),
    "enrollment_events": (("reason", sa.String(500)),),
}
PASSED_OVER = "CONSTRAINT ck_courses_passed_over_within_waiting CHECK (passed_over_count BETWEEN 0 AND waiting)"
IN_TERM = "CONSTRAINT ck_courses_permission_required_in_term CHECK (term_id IS NOT NULL OR NOT permission_required)"
TERM_ID = f"CONSTRAINT ck_courses_term_id_in_range CHECK (term_id BETWEEN 1 AND {MAX_ID})"
TERM = "CONSTRAINT fk_courses_term_id FOREIGN KEY(term_id) REFERENCES terms (id)"
BOOLEAN = "CONSTRAINT ck_courses_permission_required_is_boolean CHECK (permission_required IN (0, 1))"
COURSES_NEW = ("term_id", "component", "permission_required", "closed_at", "passed_over_count", "promotion_round_at")

POSTGRESQL = (
    """
    CREATE TRIGGER rule_events_append_only BEFORE UPDATE OR DELETE ON rule_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change('rule_events_append_only', 'the ledger is never rewritten')
    """,
    """
    CREATE TRIGGER rule_events_no_truncate BEFORE TRUNCATE ON rule_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('rule_events_no_truncate', 'the ledger is never emptied')
    """,
)
SQLITE = (
    """
    CREATE TRIGGER rule_events_not_changed BEFORE UPDATE ON rule_events BEGIN
        SELECT RAISE(ABORT, 'rule_events_append_only: the ledger is never rewritten');
    END
    """,
    """
    CREATE TRIGGER rule_events_not_deleted BEFORE DELETE ON rule_events BEGIN
        SELECT RAISE(ABORT, 'rule_events_append_only: the ledger is never rewritten');
    END
    """,
    """
    CREATE TRIGGER rule_events_not_replaced BEFORE INSERT ON rule_events
    WHEN EXISTS (SELECT 1 FROM rule_events WHERE id = NEW.id) BEGIN
        SELECT RAISE(ABORT, 'rule_events_append_only: the ledger is never rewritten');
    END
    """,
)
REFERENCE = """
    CREATE TRIGGER fk_{table}_{column} BEFORE DELETE ON {parent}
    WHEN EXISTS (SELECT 1 FROM {table} WHERE {column} = OLD.id) BEGIN
        SELECT RAISE(ABORT, 'fk_{table}_{column}: rows of {table} refer to it');
    END
"""
REFERENCES = (
    ("terms", "courses", "term_id"),
    ("groups", "registration_windows", "group_id"),
    ("groups", "student_groups", "group_id"),
    ("groups", "course_restrictions", "group_id"),
)


def upgrade() -> None:
    """Create the tables, add the columns, and protect both."""
    if op.get_context().as_sql and not _is_postgresql():
        raise MigrationRefused("SQLite tables are rebuilt from what they are, so there is no SQL script of it.")
    _create_tables()
    if _is_postgresql():
        op.execute(
            "ALTER TABLE courses DROP CONSTRAINT uq_courses_code, ADD term_id bigint,"
            " ADD component varchar(20) NOT NULL DEFAULT '', ADD permission_required boolean NOT NULL DEFAULT false,"
            " ADD closed_at timestamptz, ADD passed_over_count integer NOT NULL DEFAULT 0,"
            f" ADD promotion_round_at timestamptz, ADD {PASSED_OVER}, ADD {IN_TERM}, ADD {TERM_ID}, ADD {TERM}"
        )
        op.execute("ALTER TABLE students ADD schedule_revision integer NOT NULL DEFAULT 0")
    else:
        courses = together(
            without_lines("CONSTRAINT uq_courses_code"),
            with_lines(
                "term_id INTEGER",
                "component VARCHAR(20) DEFAULT '' NOT NULL",
                "permission_required BOOLEAN DEFAULT 0 NOT NULL",
                "closed_at DATETIME",
                before="created_at",
            ),
            with_lines(
                "passed_over_count INTEGER DEFAULT 0 NOT NULL",
                "promotion_round_at DATETIME",
                before="last_queue_number",
            ),
            with_lines(PASSED_OVER, IN_TERM, before="CONSTRAINT ck_courses_id_in_range"),
            with_lines(TERM_ID, TERM, BOOLEAN),
        )
        students = with_lines("schedule_revision INTEGER DEFAULT 0 NOT NULL", before="search_text")
        rebuild(op.get_bind(), {"courses": courses, "students": students})
    for table, columns in ADDED.items():
        for name, kind in columns:
            op.add_column(table, sa.Column(name, kind))
    _create_partial_index("uq_courses_code", "courses", ["code"], "term_id IS NULL")
    _create_partial_index("uq_courses_term_id_code", "courses", ["term_id", "code"], "term_id IS NOT NULL")
    op.create_index("ix_courses_code", "courses", ["code"])
    for statement in POSTGRESQL if _is_postgresql() else SQLITE:
        op.execute(sa.text(statement))
    if not _is_postgresql():
        for parent, table, column in REFERENCES:
            op.execute(REFERENCE.format(parent=parent, table=table, column=column))
    op.execute("UPDATE schema_compatibility SET oldest_revision = '0009'")


def downgrade() -> None:
    """Take all of it away. Courses of terms stay, without their terms, unless two have the same code."""
    if not op.get_context().as_sql:
        _refuse_same_codes()
    for name in ("uq_courses_code", "uq_courses_term_id_code", "ix_courses_code"):
        op.drop_index(name, "courses")
    if not _is_postgresql():
        op.execute("DROP TRIGGER fk_courses_term_id")
    for table, columns in ADDED.items():
        for name, _ in columns:
            op.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
    if _is_postgresql():
        op.execute(f"ALTER TABLE courses {', '.join(f'DROP {name}' for name in COURSES_NEW)}")
        op.execute("ALTER TABLE courses ADD CONSTRAINT uq_courses_code UNIQUE (code)")
        op.execute("ALTER TABLE students DROP schedule_revision")
    else:
        names = ("passed_over_within_waiting", "permission_required_in_term", "term_id_in_range")
        courses = together(
            without_lines(
                *(f"CONSTRAINT ck_courses_{name}" for name in (*names, "permission_required_is_boolean")),
                "CONSTRAINT fk_courses_term_id",
                *COURSES_NEW,
            ),
            with_lines("CONSTRAINT uq_courses_code UNIQUE (code)", before="CONSTRAINT"),
        )
        rebuild(op.get_bind(), {"courses": courses, "students": without_lines("schedule_revision")})
    for table in TABLES:
        op.drop_table(table)
    op.execute("UPDATE schema_compatibility SET oldest_revision = '0009'")


def _refuse_same_codes() -> None:
    """Stop where the unique constraint of codes cannot come back. Raises `MigrationRefused`."""
    same = op.get_bind().execute(sa.text("SELECT code FROM courses GROUP BY code HAVING count(*) > 1 ORDER BY code"))
    if codes := same.scalars().all():
        raise MigrationRefused(
            "Nothing was changed: without terms, courses have different codes, and several courses have these. Change "
            f"or delete courses, then migrate again: {', '.join(codes[:SHOWN])}"
            + (" and more" if len(codes) > SHOWN else "")
        )


def _create_tables() -> None:
    _create(
        "terms",
        sa.Column("code", CODE, nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("starts_on", sa.Date, nullable=False),
        sa.Column("ends_on", sa.Date, nullable=False),
        sa.Column("credit_limit", sa.Integer),
        *(sa.Column(name, MOMENT) for name in ("drop_until", "withdraw_until", "promote_until")),
        sa.Column("external_id", sa.String(255)),
        *_times("created_at", "updated_at"),
        sa.UniqueConstraint("code", name="uq_terms_code"),
        sa.UniqueConstraint("external_id", name="uq_terms_external_id"),
        _check("terms", "dates_in_order", "starts_on <= ends_on"),
        _check("terms", "credit_limit_not_negative", "credit_limit >= 0"),
        _check("terms", "withdraw_after_drop", "withdraw_until >= drop_until"),
        ids=("id",),
    )
    _create(
        "groups",
        sa.Column("kind", CODE, nullable=False),
        sa.Column("code", CODE, nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        *_times("created_at", "updated_at"),
        sa.UniqueConstraint("kind", "code", name="uq_groups_kind_code"),
        ids=("id",),
    )
    _create(
        "registration_windows",
        sa.Column("term_id", ID, nullable=False),
        sa.Column("group_id", ID),
        sa.Column("opens_at", MOMENT, nullable=False),
        sa.Column("closes_at", MOMENT, nullable=False),
        _check("registration_windows", "opens_before_closes", "opens_at < closes_at"),
        references=(("term_id", "terms", "CASCADE"), ("group_id", "groups", None)),
        ids=("id", "term_id", "group_id"),
    )
    op.create_index("ix_registration_windows_term_id", "registration_windows", ["term_id"])
    op.create_index("ix_registration_windows_group_id", "registration_windows", ["group_id"])
    _create_pairs("student_groups", ("student_id", "students", "CASCADE"), ("group_id", "groups", None))
    _create_pairs(
        "course_restrictions",
        ("course_id", "courses", "CASCADE"),
        ("group_id", "groups", None),
        sa.Column(
            "admits",
            sa.Boolean(create_constraint=True, name=op.f("ck_course_restrictions_admits_is_boolean")),
            server_default=sa.true(),
            nullable=False,
        ),
    )
    _create_pairs("course_instructors", ("course_id", "courses", "CASCADE"), ("person_id", "people", "CASCADE"))
    _create(
        "holds",
        sa.Column("student_id", ID, nullable=False),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("note", sa.String(1000)),
        sa.Column("contact", sa.String(200), nullable=False),
        sa.Column("blocks", sa.String(20), nullable=False),
        *_times("placed_at"),
        sa.Column("placed_by", sa.String(200), server_default=BY_HAND, nullable=False),
        sa.Column("until", MOMENT),
        sa.Column("released_at", MOMENT),
        sa.Column("released_by", sa.String(200)),
        *_times("created_at", "updated_at"),
        _check("holds", "blocks_known", "blocks IN ('enroll', 'unenroll', 'both')"),
        references=(("student_id", "students", "CASCADE"),),
        ids=("id", "student_id"),
    )
    op.create_index("ix_holds_student_id", "holds", ["student_id"])
    _create(
        "permissions",
        sa.Column("student_id", ID, nullable=False),
        sa.Column("course_id", ID, nullable=False),
        sa.Column("rule", sa.String(50), nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        *_times("granted_at"),
        sa.Column("granted_by", sa.String(200), server_default=BY_HAND, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.Column("revoked_by", sa.String(200)),
        *_times("created_at", "updated_at"),
        references=(("student_id", "students", "CASCADE"), ("course_id", "courses", "CASCADE")),
        ids=("id", "student_id", "course_id"),
    )
    _create_partial_index(
        "uq_permissions_student_id_course_id_rule",
        "permissions",
        ["student_id", "course_id", "rule"],
        "revoked_at IS NULL",
    )
    op.create_index("ix_permissions_student_id", "permissions", ["student_id"])
    op.create_index("ix_permissions_course_id", "permissions", ["course_id"])
    _create(
        "rule_events",
        *_times("at"),
        sa.Column("student_id", ID, nullable=False),
        sa.Column("subject", sa.String(20), nullable=False),
        sa.Column("subject_id", ID, nullable=False),
        sa.Column("change", sa.String(20), nullable=False),
        sa.Column("facts", JSON, server_default="{}", nullable=False),
        sa.Column("actor", sa.String(200), server_default=BY_HAND, nullable=False),
        sa.Column("request_id", sa.String(128)),
        _check("rule_events", "subject_known", "subject IN ('hold', 'permission', 'completion', 'limit', 'group')"),
        ids=("id", "student_id", "subject_id"),
    )
    op.create_index("ix_rule_events_student_id_id", "rule_events", ["student_id", "id"])


def _create(table: str, *parts: Any, ids: tuple[str, ...], references: tuple[Reference, ...] = ()) -> None:
    """Create a table with generated ids; `ids` are its columns with ids."""
    op.create_table(
        table,
        sa.Column("id", ID, sa.Identity(), nullable=False),
        *parts,
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        *_in_range(table, *ids),
        *(_refers(table, *each) for each in references),
        sqlite_autoincrement=True,
    )


def _create_pairs(table: str, first: Reference, second: Reference, *columns: sa.Column[Any]) -> None:
    """Create a table whose key is two references."""
    op.create_table(
        table,
        *(sa.Column(column, ID, autoincrement=False, nullable=False) for column, _, _ in (first, second)),
        *columns,
        sa.PrimaryKeyConstraint(first[0], second[0], name=f"pk_{table}"),
        *_in_range(table, first[0], second[0]),
        *(_refers(table, *each) for each in (first, second)),
        sqlite_with_rowid=False,
    )
    op.create_index(f"ix_{table}_{second[0]}", table, [second[0]])


def _create_partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=True, postgresql_where=where, sqlite_where=where)


def _times(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, MOMENT, server_default=NOW, nullable=False) for name in names]


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _in_range(table: str, *columns: str) -> list[sa.CheckConstraint]:
    return [_check(table, f"{each}_in_range", f"{each} BETWEEN 1 AND {MAX_ID}") for each in columns]


def _refers(table: str, column: str, parent: str, ondelete: str | None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=f"fk_{table}_{column}", ondelete=ondelete)


def _is_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"
