"""Catalog, timetable and credits: the data that the second part of the rules of registration uses.

- New tables: `catalog_entries` with `prerequisites`; `completions` and `student_terms` (credit limits) of students;
  `course_meetings` and `course_links` of courses.
- Courses may offer a catalog entry and, in a term, have credits. Enrollments and the ledger have credits. An enrollment
  may be `withdrawn`. Migration 0013 has the triggers for these.
- API keys have space for the names of all scopes.

The version before this one works with the schema until a school uses what is new: until then, old code neither writes
nor reads it.

On PostgreSQL no table is rewritten; the new constraints read `courses` and `student_courses` once. On SQLite,
`courses`, `student_courses` and `api_keys` are rebuilt.

Revision: 0012, after 0011
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from course_management.database.migrations import MigrationRefused
from course_management.database.rebuilding import (
    add_columns,
    drop_columns,
    rebuild,
    replacing,
    together,
    with_lines,
    without_lines,
)

revision = "0012"
down_revision = "0011"

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
CODE = sa.String(50, collation="C").with_variant(sa.String(50), "sqlite")
MOMENT = sa.DateTime(timezone=True)
NOW = sa.text("CURRENT_TIMESTAMP")
MAX_ID = 9007199254740991
Reference = tuple[str, str, str | None]
"""A column, the table it refers to, and what happens when the row there is deleted."""
TABLES = ("course_links", "course_meetings", "student_terms", "completions", "prerequisites", "catalog_entries")
STATUS = "ck_student_courses_status_known"
KNOWN = "status IN ('enrolled', 'waitlisted', 'unenrolled')"
KNOWN_NOW = "status IN ('enrolled', 'waitlisted', 'unenrolled', 'withdrawn')"
COURSES = ("credits_in_term", "credits_not_negative", "credits_in_order", "catalog_id_in_range")
REFERENCE = """
    CREATE TRIGGER fk_{table}_{column} BEFORE DELETE ON {parent}
    WHEN EXISTS (SELECT 1 FROM {table} WHERE {column} = OLD.id) BEGIN
        SELECT RAISE(ABORT, 'fk_{table}_{column}: rows of {table} refer to it');
    END
"""
REFERENCES = (
    ("groups", "prerequisites", "required_group_id"),
    ("catalog_entries", "courses", "catalog_id"),
    ("catalog_entries", "prerequisites", "required_id"),
    ("catalog_entries", "completions", "catalog_id"),
    ("students", "completions", "student_id"),
    ("courses", "course_links", "linked_id"),
)


def upgrade() -> None:
    """Create the tables, add the columns, and protect both."""
    if op.get_context().as_sql and not _is_postgresql():
        raise MigrationRefused("SQLite tables are rebuilt from what they are, so there is no SQL script of it.")
    _create_catalog()
    _create_parts_of_students_and_courses()
    add_columns(
        "courses",
        sa.Column("catalog_id", ID),
        sa.Column("credits", sa.Integer),
        sa.Column("credits_max", sa.Integer),
        _check("courses", "credits_in_term", "term_id IS NOT NULL OR credits IS NULL"),
        _check("courses", "credits_not_negative", "credits >= 0"),
        _check(
            "courses",
            "credits_in_order",
            "credits_max IS NULL OR (credits IS NOT NULL AND credits <= credits_max)",
        ),
        *_in_range("courses", "catalog_id"),
        _refers("courses", "catalog_id", "catalog_entries", None),
    )
    op.create_index("ix_courses_catalog_id", "courses", ["catalog_id"])
    op.add_column("enrollment_events", sa.Column("credits", sa.Integer))
    if _is_postgresql():
        op.execute(
            f"ALTER TABLE student_courses ADD credits integer, DROP CONSTRAINT {STATUS},"
            f" ADD CONSTRAINT {STATUS} CHECK ({KNOWN_NOW})"
        )
        op.execute("ALTER TABLE api_keys ALTER scopes TYPE varchar(1000)")
    else:
        student_courses = together(replacing(KNOWN, KNOWN_NOW), with_lines("credits INTEGER", before="CONSTRAINT"))
        scopes = replacing("scopes VARCHAR(200)", "scopes VARCHAR(1000)")
        rebuild(op.get_bind(), {"student_courses": student_courses, "api_keys": scopes})
        for parent, table, column in REFERENCES:
            op.execute(REFERENCE.format(parent=parent, table=table, column=column))
    op.execute("UPDATE schema_compatibility SET oldest_revision = '0009'")


def downgrade() -> None:
    """Take all of it away. Students who have withdrawn from a course are unenrolled from it."""
    if not op.get_context().as_sql:
        _refuse_long_scopes()
    op.execute("UPDATE student_courses SET status = 'unenrolled' WHERE status = 'withdrawn'")
    if not _is_postgresql():
        for _, table, column in REFERENCES:
            op.execute(f"DROP TRIGGER fk_{table}_{column}")
    op.drop_index("ix_courses_catalog_id", "courses")
    constraints = [*(f"ck_courses_{name}" for name in COURSES), "fk_courses_catalog_id"]
    drop_columns("courses", "catalog_id", "credits", "credits_max", constraints=constraints)
    op.execute("ALTER TABLE enrollment_events DROP COLUMN credits")
    if _is_postgresql():
        op.execute(
            f"ALTER TABLE student_courses DROP credits, DROP CONSTRAINT {STATUS},"
            f" ADD CONSTRAINT {STATUS} CHECK ({KNOWN})"
        )
        op.execute("ALTER TABLE api_keys ALTER scopes TYPE varchar(200)")
    else:
        student_courses = together(replacing(KNOWN_NOW, KNOWN), without_lines("credits "))
        scopes = replacing("scopes VARCHAR(1000)", "scopes VARCHAR(200)")
        rebuild(op.get_bind(), {"student_courses": student_courses, "api_keys": scopes})
    for table in TABLES:
        op.drop_table(table)
    op.execute("UPDATE schema_compatibility SET oldest_revision = '0009'")


def _refuse_long_scopes() -> None:
    """Stop where the names of a key's scopes do not fit. Raises `MigrationRefused`."""
    found = op.get_bind().execute(sa.text("SELECT id FROM api_keys WHERE length(scopes) > 200 ORDER BY id"))
    if ids := found.scalars().all():
        raise MigrationRefused(
            "Nothing was changed: the names of the scopes of these API keys are too long for the older schema. Delete "
            f"the rows from api_keys, then migrate again: {', '.join(map(str, ids))}"
        )


def _create_catalog() -> None:
    _create(
        "catalog_entries",
        sa.Column("code", CODE, nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("credits", sa.Integer, nullable=False),
        sa.Column("credits_max", sa.Integer),
        sa.Column("courses_per_term", sa.Integer, server_default=sa.text("1")),
        sa.Column("completions_allowed", sa.Integer),
        sa.Column("external_id", sa.String(255)),
        *_times(),
        sa.Column("search_text", sa.Text),
        sa.UniqueConstraint("code", name="uq_catalog_entries_code"),
        sa.UniqueConstraint("external_id", name="uq_catalog_entries_external_id"),
        _check("catalog_entries", "credits_not_negative", "credits >= 0"),
        _check("catalog_entries", "credits_in_order", "credits <= credits_max"),
        _check("catalog_entries", "courses_per_term_positive", "courses_per_term >= 1"),
        _check("catalog_entries", "completions_allowed_positive", "completions_allowed >= 1"),
        ids=("id",),
    )
    unique = ("catalog_id", "group_number")
    _create(
        "prerequisites",
        sa.Column("catalog_id", ID, nullable=False),
        sa.Column("group_number", sa.Integer, nullable=False),
        sa.Column("required_id", ID),
        sa.Column("required_group_id", ID),
        sa.Column("minimum_points", sa.Integer),
        sa.Column("minimum_grade", sa.String(20)),
        sa.Column(
            "concurrent_allowed",
            _boolean("prerequisites", "concurrent_allowed"),
            server_default=sa.false(),
            nullable=False,
        ),
        *(
            sa.UniqueConstraint(*unique, name, name=f"uq_prerequisites_catalog_id_group_number_{name}")
            for name in ("required_id", "required_group_id")
        ),
        _check("prerequisites", "entry_or_group", "(required_id IS NULL) <> (required_group_id IS NULL)"),
        _check("prerequisites", "not_itself", "required_id <> catalog_id"),
        _check("prerequisites", "grade_has_points", "minimum_grade IS NULL OR minimum_points IS NOT NULL"),
        _check("prerequisites", "minimum_points_not_negative", "minimum_points >= 0"),
        references=(
            ("catalog_id", "catalog_entries", "CASCADE"),
            ("required_id", "catalog_entries", None),
            ("required_group_id", "groups", None),
        ),
        ids=("id", "catalog_id", "required_id", "required_group_id"),
    )
    op.create_index("ix_prerequisites_required_id", "prerequisites", ["required_id"])
    op.create_index("ix_prerequisites_required_group_id", "prerequisites", ["required_group_id"])


def _create_parts_of_students_and_courses() -> None:
    _create_with_key(
        "completions",
        ("student_id", "catalog_id", "term_code"),
        sa.Column("term_code", CODE, nullable=False),
        sa.Column("grade", sa.String(20), nullable=False),
        sa.Column("points", sa.Integer),
        sa.Column("passed", _boolean("completions", "passed"), nullable=False),
        sa.Column("credits", sa.Integer, nullable=False),
        sa.Column("source", sa.String(200)),
        *_times(),
        _check("completions", "points_not_negative", "points >= 0"),
        _check("completions", "credits_not_negative", "credits >= 0"),
        references=(("student_id", "students", None), ("catalog_id", "catalog_entries", None)),
    )
    op.create_index("ix_completions_catalog_id", "completions", ["catalog_id"])
    _create_with_key(
        "student_terms",
        ("student_id", "term_id"),
        sa.Column("credit_limit", sa.Integer, nullable=False),
        *_times(),
        _check("student_terms", "credit_limit_not_negative", "credit_limit >= 0"),
        references=(("student_id", "students", "CASCADE"), ("term_id", "terms", "CASCADE")),
    )
    op.create_index("ix_student_terms_term_id", "student_terms", ["term_id"])
    _create(
        "course_meetings",
        sa.Column("course_id", ID, nullable=False),
        sa.Column("weekday", sa.SmallInteger, nullable=False),
        sa.Column("starts_minute", sa.Integer, nullable=False),
        sa.Column("ends_minute", sa.Integer, nullable=False),
        sa.Column("starts_on", sa.Date, nullable=False),
        sa.Column("ends_on", sa.Date, nullable=False),
        sa.Column("place", sa.String(200)),
        _check("course_meetings", "weekday_known", "weekday BETWEEN 1 AND 7"),
        _check(
            "course_meetings",
            "minutes_in_order",
            "starts_minute >= 0 AND starts_minute < ends_minute AND ends_minute <= 1440",
        ),
        _check("course_meetings", "dates_in_order", "starts_on <= ends_on"),
        references=(("course_id", "courses", "CASCADE"),),
        ids=("id", "course_id"),
    )
    op.create_index("ix_course_meetings_course_id", "course_meetings", ["course_id"])
    _create_with_key(
        "course_links",
        ("course_id", "group_number", "linked_id"),
        sa.Column("group_number", sa.Integer, nullable=False),
        _check("course_links", "not_itself", "linked_id <> course_id"),
        references=(("course_id", "courses", "CASCADE"), ("linked_id", "courses", None)),
    )
    op.create_index("ix_course_links_linked_id", "course_links", ["linked_id"])


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


def _create_with_key(table: str, key: tuple[str, ...], *parts: Any, references: tuple[Reference, ...]) -> None:
    """Create a table whose key is references and what `parts` has."""
    op.create_table(
        table,
        *(sa.Column(column, ID, nullable=False) for column, *_ in references),
        *parts,
        sa.PrimaryKeyConstraint(*key, name=f"pk_{table}"),
        *_in_range(table, *(column for column, *_ in references)),
        *(_refers(table, *each) for each in references),
        sqlite_with_rowid=False,
    )


def _times() -> list[sa.Column[Any]]:
    return [sa.Column(name, MOMENT, server_default=NOW, nullable=False) for name in ("created_at", "updated_at")]


def _boolean(table: str, column: str) -> sa.Boolean:
    return sa.Boolean(create_constraint=True, name=op.f(f"ck_{table}_{column}_is_boolean"))


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _in_range(table: str, *columns: str) -> list[sa.CheckConstraint]:
    return [_check(table, f"{each}_in_range", f"{each} BETWEEN 1 AND {MAX_ID}") for each in columns]


def _refers(table: str, column: str, parent: str, ondelete: str | None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=f"fk_{table}_{column}", ondelete=ondelete)


def _is_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"
