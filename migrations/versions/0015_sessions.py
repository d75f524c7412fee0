"""Pages: their `sessions`, `sign_in_links`, and the `planned_courses` of students.

Nothing refers to these tables, so that the version before this one works with the schema.

Revision: 0015, after 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.DateTime(timezone=True)
NOW = sa.text("CURRENT_TIMESTAMP")
MAX_ID = 9007199254740991


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "sessions",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("method", sa.String(20), nullable=False),
        sa.Column("person_id", ID),
        sa.Column("student_id", ID),
        sa.Column("account_id", ID),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("used_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("flash", sa.String(1000)),
        sa.PrimaryKeyConstraint("digest", name="pk_sessions"),
        _owner("sessions", "person_id", "people"),
        _owner("sessions", "student_id", "students"),
        _owner("sessions", "account_id", "accounts"),
        sa.CheckConstraint("method IN ('issuer', 'link', 'protected')", name=op.f("ck_sessions_method_known")),
        sa.CheckConstraint("person_id IS NULL OR student_id IS NULL", name=op.f("ck_sessions_person_or_student")),
        sa.CheckConstraint(
            "method = 'protected' OR person_id IS NOT NULL OR student_id IS NOT NULL",
            name=op.f("ck_sessions_owned_unless_protected"),
        ),
        *_in_range("sessions", "person_id", "student_id", "account_id"),
        sqlite_with_rowid=False,
    )
    for column in ("person_id", "student_id", "account_id", "expires_at"):
        op.create_index(f"ix_sessions_{column}", "sessions", [column])
    op.create_table(
        "sign_in_links",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("person_id", ID),
        sa.Column("student_id", ID),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_sign_in_links"),
        _owner("sign_in_links", "person_id", "people"),
        _owner("sign_in_links", "student_id", "students"),
        sa.CheckConstraint(
            "(person_id IS NULL) <> (student_id IS NULL)", name=op.f("ck_sign_in_links_person_or_student")
        ),
        *_in_range("sign_in_links", "person_id", "student_id"),
        sqlite_with_rowid=False,
    )
    for column in ("person_id", "student_id"):
        op.create_index(f"ix_sign_in_links_{column}", "sign_in_links", [column])
    op.create_table(
        "planned_courses",
        sa.Column("student_id", ID, autoincrement=False, nullable=False),
        sa.Column("course_id", ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("student_id", "course_id", name="pk_planned_courses"),
        _owner("planned_courses", "student_id", "students"),
        _owner("planned_courses", "course_id", "courses"),
        *_in_range("planned_courses", "student_id", "course_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_planned_courses_course_id", "planned_courses", ["course_id"])
    op.execute("UPDATE schema_compatibility SET oldest_revision = '0009'")


def _owner(table: str, column: str, owners: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{owners}.id"], name=f"fk_{table}_{column}", ondelete="CASCADE")


def _in_range(table: str, *columns: str) -> list[sa.CheckConstraint]:
    return [
        sa.CheckConstraint(f"{column} BETWEEN 1 AND {MAX_ID}", name=op.f(f"ck_{table}_{column}_in_range"))
        for column in columns
    ]


def downgrade() -> None:
    """Drop the tables. Everybody is signed out, and plans are lost."""
    for table in ("planned_courses", "sign_in_links", "sessions"):
        op.drop_table(table)
    op.execute("UPDATE schema_compatibility SET oldest_revision = '0009'")
