"""The ledger in order of time: past rosters page by page, and lines that SQLite cannot replace.

- Two indexes, so that a page of a past roster reads what it shows, however long the ledger is.
- `courses.last_event_at` is the time of the newest ledger line of a course. The service dates a change no earlier, so
  that in one course its lines are in order of time, whatever the clocks of its servers say.
- SQLite: REPLACE of a ledger line is refused, and `at` is always written in one form, so that it sorts by time.

The triggers are a frozen copy: `course_management.models.triggers` says what the tables have now.

On PostgreSQL the indexes are built while the ledger is locked for writing: some seconds for five million lines.

Revision: 0006, after 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0006"
down_revision = "0005"

POSTGRESQL = (
    """
    CREATE OR REPLACE FUNCTION record_new_enrollments() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE
        change record;
        latest timestamptz := clock_timestamp() + interval '5 minutes';
    BEGIN
        IF NOT EXISTS (SELECT FROM new_rows) THEN RETURN NULL; END IF;
        FOR change IN
            SELECT course_id,
                   count(*) FILTER (WHERE status = 'enrolled') AS seats,
                   count(*) FILTER (WHERE status = 'waitlisted') AS places,
                   max(queue_number) AS queue_number,
                   max(status_since) FILTER (WHERE status_since <= latest) AS at
            FROM new_rows GROUP BY course_id ORDER BY course_id
        LOOP
            UPDATE courses
            SET seats_taken = seats_taken + change.seats,
                waiting = waiting + change.places,
                last_queue_number = greatest(last_queue_number, change.queue_number),
                last_event_at = greatest(last_event_at, change.at)
            WHERE id = change.course_id;
        END LOOP;
        INSERT INTO enrollment_events (at, student_id, course_id, from_status, to_status, actor, request_id)
        SELECT CASE WHEN status_since = transaction_timestamp()
                    THEN (SELECT greatest(last_event_at, status_since) FROM courses WHERE id = new_rows.course_id)
                    ELSE status_since END,
               student_id, course_id, NULL, status, actor, request_id
        FROM new_rows ORDER BY course_id, queue_number, student_id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION record_changed_enrollments() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE
        change record;
        moment timestamptz := clock_timestamp();
    BEGIN
        IF NOT EXISTS (SELECT FROM new_rows) THEN RETURN NULL; END IF;
        FOR change IN
            SELECT n.course_id,
                   count(*) FILTER (WHERE n.status = 'enrolled')
                       - count(*) FILTER (WHERE o.status = 'enrolled') AS seats,
                   count(*) FILTER (WHERE n.status = 'waitlisted')
                       - count(*) FILTER (WHERE o.status = 'waitlisted') AS places,
                   max(n.queue_number) AS queue_number,
                   max(CASE WHEN n.revision = o.revision THEN moment
                            WHEN n.status_since <= moment + interval '5 minutes' THEN n.status_since END) AS at
            FROM old_rows o JOIN new_rows n ON n.student_id = o.student_id AND n.course_id = o.course_id
            WHERE o.status <> n.status OR o.queue_number IS DISTINCT FROM n.queue_number
            GROUP BY n.course_id ORDER BY n.course_id
        LOOP
            UPDATE courses
            SET seats_taken = seats_taken + change.seats,
                waiting = waiting + change.places,
                last_queue_number = greatest(last_queue_number, change.queue_number),
                last_event_at = greatest(last_event_at, change.at)
            WHERE id = change.course_id;
        END LOOP;
        INSERT INTO enrollment_events (at, student_id, course_id, from_status, to_status, actor, request_id)
        SELECT CASE WHEN n.revision = o.revision
                    THEN (SELECT last_event_at FROM courses WHERE id = n.course_id) ELSE n.status_since END,
               n.student_id, n.course_id, o.status, n.status,
               CASE WHEN n.revision = o.revision THEN 'database' ELSE n.actor END,
               CASE WHEN n.revision = o.revision THEN NULL ELSE n.request_id END
        FROM old_rows o JOIN new_rows n ON n.student_id = o.student_id AND n.course_id = o.course_id
        WHERE o.status <> n.status ORDER BY n.course_id, n.student_id;
        RETURN NULL;
    END $$
    """,
)
SQLITE = (
    """
    CREATE TRIGGER student_courses_inserted AFTER INSERT ON student_courses BEGIN
        UPDATE courses
        SET seats_taken = seats_taken + (NEW.status = 'enrolled'),
            waiting = waiting + (NEW.status = 'waitlisted'),
            last_queue_number = max(last_queue_number, coalesce(NEW.queue_number, 0)),
            last_event_at = CASE
                WHEN NEW.status_since = datetime('now')
                THEN max(coalesce(last_event_at, ''), strftime('%Y-%m-%d %H:%M:%f000', 'now'))
                WHEN NEW.status_since > coalesce(last_event_at, '')
                     AND NEW.status_since GLOB '????-??-?? ??:??:??.??????'
                     AND NEW.status_since <= strftime('%Y-%m-%d %H:%M:%f000', 'now', '+5 minutes')
                THEN NEW.status_since ELSE last_event_at END
        WHERE id = NEW.course_id;
        INSERT INTO enrollment_events (at, student_id, course_id, from_status, to_status, actor, request_id)
        SELECT CASE
                   WHEN NEW.status_since = datetime('now')
                   THEN (SELECT last_event_at FROM courses WHERE id = NEW.course_id)
                   WHEN NEW.status_since GLOB '????-??-?? ??:??:??.??????' THEN NEW.status_since
                   ELSE coalesce(strftime('%Y-%m-%d %H:%M:%f000', NEW.status_since), NEW.status_since) END,
               NEW.student_id, NEW.course_id, NULL, NEW.status, NEW.actor, NEW.request_id;
    END
    """,
    """
    CREATE TRIGGER student_courses_updated AFTER UPDATE ON student_courses
    WHEN OLD.status <> NEW.status OR OLD.queue_number IS NOT NEW.queue_number BEGIN
        UPDATE courses
        SET seats_taken = seats_taken + (NEW.status = 'enrolled') - (OLD.status = 'enrolled'),
            waiting = waiting + (NEW.status = 'waitlisted') - (OLD.status = 'waitlisted'),
            last_queue_number = max(last_queue_number, coalesce(NEW.queue_number, 0)),
            last_event_at = CASE
                WHEN NEW.revision = OLD.revision
                THEN max(coalesce(last_event_at, ''), strftime('%Y-%m-%d %H:%M:%f000', 'now'))
                WHEN NEW.status_since > coalesce(last_event_at, '')
                     AND NEW.status_since GLOB '????-??-?? ??:??:??.??????'
                     AND NEW.status_since <= strftime('%Y-%m-%d %H:%M:%f000', 'now', '+5 minutes')
                THEN NEW.status_since ELSE last_event_at END
        WHERE id = NEW.course_id;
        INSERT INTO enrollment_events (at, student_id, course_id, from_status, to_status, actor, request_id)
        SELECT CASE
                   WHEN NEW.revision = OLD.revision
                   THEN (SELECT last_event_at FROM courses WHERE id = NEW.course_id)
                   WHEN NEW.status_since GLOB '????-??-?? ??:??:??.??????' THEN NEW.status_since
                   ELSE coalesce(strftime('%Y-%m-%d %H:%M:%f000', NEW.status_since), NEW.status_since) END,
               NEW.student_id, NEW.course_id, OLD.status, NEW.status,
               iif(NEW.revision = OLD.revision, 'database', NEW.actor),
               iif(NEW.revision = OLD.revision, NULL, NEW.request_id)
        WHERE OLD.status <> NEW.status;
    END
    """,
    """
    CREATE TRIGGER enrollment_events_not_replaced BEFORE INSERT ON enrollment_events
    WHEN EXISTS (SELECT 1 FROM enrollment_events WHERE id = NEW.id) BEGIN
        SELECT RAISE(ABORT, 'enrollment_events_append_only: the ledger is never rewritten');
    END
    """,
)


def upgrade() -> None:
    """Build the indexes, fill the new column, and put the triggers in the place of the old ones."""
    op.create_index(
        "ix_enrollment_events_course_id_student_id_at_id",
        "enrollment_events",
        ["course_id", "student_id", "at", "id"],
    )
    op.create_index(
        "ix_enrollment_events_course_id_at_id",
        "enrollment_events",
        ["course_id", "at", "id"],
        postgresql_where=sa.text("to_status = 'waitlisted'"),
        sqlite_where=sa.text("to_status = 'waitlisted'"),
    )
    now = "CURRENT_TIMESTAMP" if _is_postgresql() else "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
    op.execute(
        "UPDATE courses SET last_event_at ="  # noqa: S608 - no values
        f" (SELECT max(at) FROM enrollment_events WHERE course_id = courses.id AND at <= {now})"
    )
    if _is_postgresql():
        for statement in POSTGRESQL:
            op.execute(sa.text(statement))
    else:
        for name in ("student_courses_inserted", "student_courses_updated"):
            op.execute(f"DROP TRIGGER {name}")
        for statement in SQLITE:
            op.execute(sa.text(statement))
    op.execute("UPDATE schema_compatibility SET oldest_revision = '0005'")  # which does not need to know any of it


def downgrade() -> None:
    """Take the indexes and the new triggers away; the functions and triggers of before come back."""
    op.drop_index("ix_enrollment_events_course_id_at_id", "enrollment_events")
    op.drop_index("ix_enrollment_events_course_id_student_id_at_id", "enrollment_events")
    script = context.script
    if _is_postgresql():
        before = script.get_revision("0003").module.FUNCTIONS
    else:
        before = script.get_revision("0001").module.SQLITE[:2]
    if not _is_postgresql():
        for name in ("student_courses_inserted", "student_courses_updated", "enrollment_events_not_replaced"):
            op.execute(f"DROP TRIGGER {name}")
    for statement in before:
        op.execute(sa.text(statement))


def _is_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"
