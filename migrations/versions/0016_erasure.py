"""Erasure of a student: the ledgers let texts about a student be erased, and nothing else be changed.

Every other change of a line is refused as before, so the version before this one works with the schema.

Revision: 0016, after 0015
"""

from __future__ import annotations

from alembic import op

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


def upgrade() -> None:
    """Let erasures pass."""
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
