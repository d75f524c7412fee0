"""Erasure of a student: the ledgers let texts about a student be erased, and nothing else be changed.

Every other change of a line is refused as before, so the version before this one works with the schema.

Revision: 0016, after 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"

ONLY_THE_REASON = " OR ".join(
    f"NEW.{column} {{differs}} OLD.{column}"
    for column in (
        "id", "at", "student_id", "course_id", "from_status", "to_status", "actor", "request_id", "credits",
    )
)  # fmt: skip
ONLY_THE_FACTS = " OR ".join(
    f"NEW.{column} {{differs}} OLD.{column}"
    for column in ("id", "at", "student_id", "subject", "subject_id", "change", "actor", "request_id")
)
CHANGED = {
    "enrollment_events": f"OLD.reason IS NULL OR NEW.reason {{differs}} 'erased' OR {ONLY_THE_REASON}",
    "rule_events": f"NEW.facts {{differs}} '{{{{}}}}' OR {ONLY_THE_FACTS}",
}
"""When an update of a line is more than an erasure."""
REFUSAL = "'the ledger is never rewritten'"


ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)
MAX_ID = 9007199254740991


def upgrade() -> None:
    """Let erasures pass."""
    _create_verifications()
    for table, changed in CHANGED.items():
        if op.get_context().dialect.name == "postgresql":
            condition = changed.format(differs="IS DISTINCT FROM")
            op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
            op.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE DELETE ON {table}"
                f" FOR EACH ROW EXECUTE FUNCTION refuse_change('{table}_append_only', {REFUSAL})"
            )
            op.execute(
                f"CREATE TRIGGER {table}_not_changed BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({condition})"
                f" EXECUTE FUNCTION refuse_change('{table}_append_only', {REFUSAL})"
            )
        else:
            op.execute(f"DROP TRIGGER {table}_not_changed")
            op.execute(_sqlite(table, f" WHEN {changed.format(differs='IS NOT')}"))
    op.execute("UPDATE schema_compatibility SET oldest_revision = '0009'")


def downgrade() -> None:
    """Refuse every change again. What was erased stays erased."""
    for table in CHANGED:
        if op.get_context().dialect.name == "postgresql":
            op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
            op.execute(f"DROP TRIGGER {table}_not_changed ON {table}")
            op.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}"
                f" FOR EACH ROW EXECUTE FUNCTION refuse_change('{table}_append_only', {REFUSAL})"
            )
        else:
            op.execute(f"DROP TRIGGER {table}_not_changed")
            op.execute(_sqlite(table, ""))
    op.execute("UPDATE schema_compatibility SET oldest_revision = '0009'")


def _sqlite(table: str, condition: str) -> str:
    return (
        f"CREATE TRIGGER {table}_not_changed BEFORE UPDATE ON {table}{condition} BEGIN"
        f" SELECT RAISE(ABORT, '{table}_append_only: the ledger is never rewritten'); END"
    )


def _create_verifications() -> None:
    """Create the table of migration 0015 where it is missing: that migration had been used before it had this table."""
    op.create_table(
        "verifications",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("error", sa.String(100)),
        sa.Column("findings", JSON),
        sa.PrimaryKeyConstraint("id", name="pk_verifications"),
        sa.CheckConstraint(f"id BETWEEN 1 AND {MAX_ID}", name=op.f("ck_verifications_id_in_range")),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index("ix_verifications_started_at", "verifications", ["started_at"], if_not_exists=True)
