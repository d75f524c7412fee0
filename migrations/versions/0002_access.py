"""Who may call: keys of services, accounts of people, and whom an advisor advises.

Revision: 0002, after 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "api_keys",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("prefix", sa.String(20), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("scopes", sa.String(200), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.Column("last_used_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("prefix", name="uq_api_keys_prefix"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "accounts",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("issuer", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("student_id", ID),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("issuer", "subject", name="uq_accounts_issuer_subject"),
        sa.CheckConstraint("role IN ('student', 'advisor', 'registrar')", name=op.f("ck_accounts_role_known")),
        sa.CheckConstraint("(role = 'student') = (student_id IS NOT NULL)", name=op.f("ck_accounts_student_iff_role")),
        sa.ForeignKeyConstraint(["student_id"], ["students.id"], name="fk_accounts_student_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_accounts_student_id", "accounts", ["student_id"])
    op.create_table(
        "advisees",
        sa.Column("account_id", ID, autoincrement=False, nullable=False),
        sa.Column("student_id", ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "student_id", name="pk_advisees"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_advisees_account_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["student_id"], ["students.id"], name="fk_advisees_student_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_advisees_student_id", "advisees", ["student_id"])


def downgrade() -> None:
    """Forget all callers: afterwards, authentication is not configured."""
    for table in ("advisees", "accounts", "api_keys"):
        op.drop_table(table)
