"""Imports of files: `imports`, and `import_rows` with what each row says and what became of it.

Nothing refers to these tables, so that the version before this one works with the schema.

Revision: 0014, after 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
KEY = sa.String(255, collation="C").with_variant(sa.String(255), "sqlite")
MOMENT = sa.DateTime(timezone=True)
NOW = sa.text("CURRENT_TIMESTAMP")
MAX_ID = 9007199254740991


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "imports",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("format", sa.String(50), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("files", JSON, nullable=False),
        sa.Column("options", JSON, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("updated_at", MOMENT, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_imports"),
        sa.CheckConstraint(
            "state IN ('reading', 'planning', 'planned', 'applying', 'applied')", name=op.f("ck_imports_state_known")
        ),
        sa.CheckConstraint(f"id BETWEEN 1 AND {MAX_ID}", name=op.f("ck_imports_id_in_range")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_imports_digest", "imports", ["digest"])
    op.create_table(
        "import_rows",
        sa.Column("import_id", ID, autoincrement=False, nullable=False),
        sa.Column("number", ID, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("unit", KEY, nullable=False),
        sa.Column("part", KEY),
        sa.Column("file", sa.String(255), nullable=False),
        sa.Column("line", sa.Integer),
        sa.Column("content", JSON, nullable=False),
        sa.Column("outcome", sa.String(20)),
        sa.Column("code", sa.String(50)),
        sa.Column("detail", sa.String(1000)),
        sa.Column("applied_at", MOMENT),
        sa.PrimaryKeyConstraint("import_id", "number", name="pk_import_rows"),
        sa.ForeignKeyConstraint(["import_id"], ["imports.id"], name="fk_import_rows_import_id", ondelete="CASCADE"),
        *(
            sa.CheckConstraint(f"{column} BETWEEN 1 AND {MAX_ID}", name=op.f(f"ck_import_rows_{column}_in_range"))
            for column in ("import_id", "number")
        ),
        sqlite_with_rowid=False,
    )
    for columns in (["import_id", "kind", "unit", "number"], ["kind", "unit", "import_id"]):
        op.create_index(f"ix_import_rows_{'_'.join(columns)}", "import_rows", columns)
    op.execute("UPDATE schema_compatibility SET oldest_revision = '0009'")


def downgrade() -> None:
    """Drop the tables. What was imported stays."""
    op.drop_table("import_rows")
    op.drop_table("imports")
    op.execute("UPDATE schema_compatibility SET oldest_revision = '0009'")
