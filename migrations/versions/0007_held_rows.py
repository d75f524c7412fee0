"""Which rows stay is said by the statuses that are held, so that a new status is not held by accident.

A row of `student_courses` is held while its status is `enrolled` or `waitlisted`. The trigger that keeps held rows from
being deleted had the condition `<> 'unenrolled'` before.

The triggers are a frozen copy: `course_management.models.triggers` says what the tables have now.

Revision: 0007, after 0006
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

HELD = "OLD.status IN ('enrolled', 'waitlisted')"
POSTGRESQL = """
    CREATE TRIGGER student_courses_held_rows_stay BEFORE DELETE ON student_courses
    FOR EACH ROW WHEN ({held})
    EXECUTE FUNCTION refuse_change('student_courses_held_rows_stay', 'unenroll before deleting')
"""
SQLITE = """
    CREATE TRIGGER student_courses_held_rows_stay BEFORE DELETE ON student_courses
    WHEN {held} BEGIN
        SELECT RAISE(ABORT, 'student_courses_held_rows_stay: unenroll before deleting');
    END
"""


def upgrade() -> None:
    """Put the trigger in the place of the old one."""
    _replace(HELD)


def downgrade() -> None:
    """Bring the old one back."""
    _replace("OLD.status <> 'unenrolled'")


def _replace(held: str) -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP TRIGGER student_courses_held_rows_stay ON student_courses")
        op.execute(POSTGRESQL.format(held=held))
    else:
        op.execute("DROP TRIGGER student_courses_held_rows_stay")
        op.execute(SQLITE.format(held=held))
