"""Triggers of the rules of registration: schedule revisions, and students whom promotion passed over.

- A student's `schedule_revision` rises when the status of an enrollment in a course of a term changes, and when a
  course in which the student is enrolled or waitlisted is moved into a term.
- A course never leaves or changes its term.
- `courses.passed_over_count` counts the waiting students with `passed_over_at`.
- The ledger gets the `reason` of the change. A change of `queue_number` or `passed_over_at` alone no longer moves
  `courses.last_event_at`, because it writes no line.

The triggers are a frozen copy: `course_management.models.triggers` says what the tables have now.

Revision: 0011, after 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0011"
down_revision = "0010"

POSTGRESQL = (
    """
    CREATE OR REPLACE FUNCTION record_new_enrollments() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE
        change record;
        latest timestamptz := clock_timestamp() + interval '5 minutes';
        of_a_term boolean := false;
    BEGIN
        IF NOT EXISTS (SELECT FROM new_rows) THEN RETURN NULL; END IF;
        FOR change IN
            SELECT course_id,
                   count(*) FILTER (WHERE status = 'enrolled') AS seats,
                   count(*) FILTER (WHERE status = 'waitlisted') AS places,
                   count(passed_over_at) FILTER (WHERE status = 'waitlisted') AS passed_over,
                   max(queue_number) AS queue_number,
                   max(status_since) FILTER (WHERE status_since <= latest) AS at
            FROM new_rows GROUP BY course_id ORDER BY course_id
        LOOP
            UPDATE courses
            SET seats_taken = seats_taken + change.seats,
                waiting = waiting + change.places,
                passed_over_count = passed_over_count + change.passed_over,
                last_queue_number = greatest(last_queue_number, change.queue_number),
                last_event_at = greatest(last_event_at, change.at)
            WHERE id = change.course_id RETURNING of_a_term OR term_id IS NOT NULL INTO of_a_term;
        END LOOP;
        IF of_a_term THEN
            FOR change IN SELECT DISTINCT student_id FROM new_rows ORDER BY student_id LOOP
                UPDATE students SET schedule_revision = schedule_revision + 1 WHERE id = change.student_id;
            END LOOP;
        END IF;
        INSERT INTO enrollment_events (at, student_id, course_id, from_status, to_status, actor, request_id, reason)
        SELECT CASE WHEN status_since = transaction_timestamp()
                    THEN (SELECT greatest(last_event_at, status_since) FROM courses WHERE id = new_rows.course_id)
                    ELSE status_since END,
               student_id, course_id, NULL, status, actor, request_id, reason
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
        of_a_term boolean := false;
    BEGIN
        IF NOT EXISTS (SELECT FROM new_rows) THEN RETURN NULL; END IF;
        FOR change IN
            SELECT n.course_id,
                   count(*) FILTER (WHERE n.status = 'enrolled')
                       - count(*) FILTER (WHERE o.status = 'enrolled') AS seats,
                   count(*) FILTER (WHERE n.status = 'waitlisted')
                       - count(*) FILTER (WHERE o.status = 'waitlisted') AS places,
                   count(n.passed_over_at) FILTER (WHERE n.status = 'waitlisted')
                       - count(o.passed_over_at) FILTER (WHERE o.status = 'waitlisted') AS passed_over,
                   max(n.queue_number) AS queue_number,
                   max(CASE WHEN n.revision = o.revision THEN moment
                            WHEN n.status_since <= moment + interval '5 minutes' THEN n.status_since END)
                       FILTER (WHERE o.status <> n.status) AS at
            FROM old_rows o JOIN new_rows n ON n.student_id = o.student_id AND n.course_id = o.course_id
            WHERE o.status <> n.status OR o.queue_number IS DISTINCT FROM n.queue_number
                OR (o.passed_over_at IS NULL) <> (n.passed_over_at IS NULL)
            GROUP BY n.course_id ORDER BY n.course_id
        LOOP
            UPDATE courses
            SET seats_taken = seats_taken + change.seats,
                waiting = waiting + change.places,
                passed_over_count = passed_over_count + change.passed_over,
                last_queue_number = greatest(last_queue_number, change.queue_number),
                last_event_at = greatest(last_event_at, change.at)
            WHERE id = change.course_id RETURNING of_a_term OR term_id IS NOT NULL INTO of_a_term;
        END LOOP;
        IF of_a_term THEN
            FOR change IN
                SELECT DISTINCT n.student_id
                FROM old_rows o JOIN new_rows n ON n.student_id = o.student_id AND n.course_id = o.course_id
                WHERE o.status <> n.status ORDER BY n.student_id
            LOOP
                UPDATE students SET schedule_revision = schedule_revision + 1 WHERE id = change.student_id;
            END LOOP;
        END IF;
        INSERT INTO enrollment_events (at, student_id, course_id, from_status, to_status, actor, request_id, reason)
        SELECT CASE WHEN n.revision = o.revision
                    THEN (SELECT last_event_at FROM courses WHERE id = n.course_id) ELSE n.status_since END,
               n.student_id, n.course_id, o.status, n.status,
               CASE WHEN n.revision = o.revision THEN 'database' ELSE n.actor END,
               CASE WHEN n.revision = o.revision THEN NULL ELSE n.request_id END,
               CASE WHEN n.revision = o.revision THEN NULL ELSE n.reason END
        FROM old_rows o JOIN new_rows n ON n.student_id = o.student_id AND n.course_id = o.course_id
        WHERE o.status <> n.status ORDER BY n.course_id, n.student_id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION adopt_enrollments() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE
        change record;
    BEGIN
        FOR change IN
            SELECT student_id FROM student_courses
            WHERE course_id = NEW.id AND status IN ('enrolled', 'waitlisted') ORDER BY student_id
        LOOP
            UPDATE students SET schedule_revision = schedule_revision + 1 WHERE id = change.student_id;
        END LOOP;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER courses_adopted AFTER UPDATE OF term_id ON courses
    FOR EACH ROW WHEN (OLD.term_id IS NULL AND NEW.term_id IS NOT NULL) EXECUTE FUNCTION adopt_enrollments()
    """,
    """
    CREATE TRIGGER courses_term_is_fixed AFTER UPDATE OF term_id ON courses
    FOR EACH ROW WHEN (OLD.term_id IS NOT NULL AND OLD.term_id IS DISTINCT FROM NEW.term_id)
    EXECUTE FUNCTION refuse_change('courses_term_is_fixed', 'a course never leaves or changes its term')
    """,
)
SQLITE = (
    """
    CREATE TRIGGER student_courses_inserted AFTER INSERT ON student_courses BEGIN
        UPDATE courses
        SET seats_taken = seats_taken + (NEW.status = 'enrolled'),
            waiting = waiting + (NEW.status = 'waitlisted'),
            passed_over_count = passed_over_count + (NEW.status = 'waitlisted' AND NEW.passed_over_at IS NOT NULL),
            last_queue_number = max(last_queue_number, coalesce(NEW.queue_number, 0)),
            last_event_at = CASE
                WHEN NEW.status_since = datetime('now')
                THEN max(coalesce(last_event_at, ''), strftime('%Y-%m-%d %H:%M:%f000', 'now'))
                WHEN NEW.status_since > coalesce(last_event_at, '')
                     AND NEW.status_since GLOB '????-??-?? ??:??:??.??????'
                     AND NEW.status_since <= strftime('%Y-%m-%d %H:%M:%f000', 'now', '+5 minutes')
                THEN NEW.status_since ELSE last_event_at END
        WHERE id = NEW.course_id;
        UPDATE students SET schedule_revision = schedule_revision + 1
        WHERE id = NEW.student_id
            AND EXISTS (SELECT 1 FROM courses WHERE id = NEW.course_id AND term_id IS NOT NULL);
        INSERT INTO enrollment_events (at, student_id, course_id, from_status, to_status, actor, request_id, reason)
        SELECT CASE
                   WHEN NEW.status_since = datetime('now')
                   THEN (SELECT last_event_at FROM courses WHERE id = NEW.course_id)
                   WHEN NEW.status_since GLOB '????-??-?? ??:??:??.??????' THEN NEW.status_since
                   ELSE coalesce(strftime('%Y-%m-%d %H:%M:%f000', NEW.status_since), NEW.status_since) END,
               NEW.student_id, NEW.course_id, NULL, NEW.status, NEW.actor, NEW.request_id, NEW.reason;
    END
    """,
    """
    CREATE TRIGGER student_courses_updated AFTER UPDATE ON student_courses
    WHEN OLD.status <> NEW.status OR OLD.queue_number IS NOT NEW.queue_number
        OR (OLD.passed_over_at IS NULL) <> (NEW.passed_over_at IS NULL) BEGIN
        UPDATE courses
        SET seats_taken = seats_taken + (NEW.status = 'enrolled') - (OLD.status = 'enrolled'),
            waiting = waiting + (NEW.status = 'waitlisted') - (OLD.status = 'waitlisted'),
            passed_over_count = passed_over_count
                + (NEW.status = 'waitlisted' AND NEW.passed_over_at IS NOT NULL)
                - (OLD.status = 'waitlisted' AND OLD.passed_over_at IS NOT NULL),
            last_queue_number = max(last_queue_number, coalesce(NEW.queue_number, 0)),
            last_event_at = CASE
                WHEN NEW.status = OLD.status THEN last_event_at
                WHEN NEW.revision = OLD.revision
                THEN max(coalesce(last_event_at, ''), strftime('%Y-%m-%d %H:%M:%f000', 'now'))
                WHEN NEW.status_since > coalesce(last_event_at, '')
                     AND NEW.status_since GLOB '????-??-?? ??:??:??.??????'
                     AND NEW.status_since <= strftime('%Y-%m-%d %H:%M:%f000', 'now', '+5 minutes')
                THEN NEW.status_since ELSE last_event_at END
        WHERE id = NEW.course_id;
        UPDATE students SET schedule_revision = schedule_revision + 1
        WHERE id = NEW.student_id AND OLD.status <> NEW.status
            AND EXISTS (SELECT 1 FROM courses WHERE id = NEW.course_id AND term_id IS NOT NULL);
        INSERT INTO enrollment_events (at, student_id, course_id, from_status, to_status, actor, request_id, reason)
        SELECT CASE
                   WHEN NEW.revision = OLD.revision
                   THEN (SELECT last_event_at FROM courses WHERE id = NEW.course_id)
                   WHEN NEW.status_since GLOB '????-??-?? ??:??:??.??????' THEN NEW.status_since
                   ELSE coalesce(strftime('%Y-%m-%d %H:%M:%f000', NEW.status_since), NEW.status_since) END,
               NEW.student_id, NEW.course_id, OLD.status, NEW.status,
               iif(NEW.revision = OLD.revision, 'database', NEW.actor),
               iif(NEW.revision = OLD.revision, NULL, NEW.request_id),
               iif(NEW.revision = OLD.revision, NULL, NEW.reason)
        WHERE OLD.status <> NEW.status;
    END
    """,
    """
    CREATE TRIGGER courses_adopted AFTER UPDATE OF term_id ON courses
    WHEN OLD.term_id IS NULL AND NEW.term_id IS NOT NULL BEGIN
        UPDATE students SET schedule_revision = schedule_revision + 1 WHERE id IN (
            SELECT student_id FROM student_courses WHERE course_id = NEW.id AND status IN ('enrolled', 'waitlisted')
        );
    END
    """,
    """
    CREATE TRIGGER courses_term_is_fixed BEFORE UPDATE OF term_id ON courses
    WHEN OLD.term_id IS NOT NULL AND OLD.term_id IS NOT NEW.term_id BEGIN
        SELECT RAISE(ABORT, 'courses_term_is_fixed: a course never leaves or changes its term');
    END
    """,
)


def upgrade() -> None:
    """Put the triggers in the place of the old ones."""
    _replace(POSTGRESQL, SQLITE)


def downgrade() -> None:
    """Bring the old ones back, and drop the new ones."""
    before = context.script.get_revision("0006").module
    for name in ("courses_adopted", "courses_term_is_fixed"):
        op.execute(f"DROP TRIGGER {name}" + (" ON courses" if _is_postgresql() else ""))
    _replace(before.POSTGRESQL, before.SQLITE[:2])
    if _is_postgresql():
        op.execute("DROP FUNCTION adopt_enrollments")
    op.execute("UPDATE courses SET passed_over_count = 0")


def _replace(postgresql: tuple[str, ...], sqlite: tuple[str, ...]) -> None:
    if not _is_postgresql():
        for name in ("student_courses_inserted", "student_courses_updated"):
            op.execute(f"DROP TRIGGER {name}")
    for statement in postgresql if _is_postgresql() else sqlite:
        op.execute(sa.text(statement))


def _is_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"
