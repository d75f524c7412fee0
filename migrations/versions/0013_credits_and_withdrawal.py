"""Triggers of credits and of withdrawing.

- The ledger has the credits of the enrollment. A change of credits writes a line, and raises the student's
  `schedule_revision` in a course of a term.
- Moving a course into a term gives its credits to the students who are enrolled.
- A student who has withdrawn from a course keeps both from being deleted.

The triggers are a frozen copy: `course_management.models.triggers` says what the tables have now.

Revision: 0013, after 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0013"
down_revision = "0012"

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
        INSERT INTO enrollment_events
            (at, student_id, course_id, from_status, to_status, actor, request_id, reason, credits)
        SELECT CASE WHEN status_since = transaction_timestamp()
                    THEN (SELECT greatest(last_event_at, status_since) FROM courses WHERE id = new_rows.course_id)
                    ELSE status_since END,
               student_id, course_id, NULL, status, actor, request_id, reason, credits
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
                   max(CASE WHEN n.revision = o.revision OR n.status = o.status THEN moment
                            WHEN n.status_since <= moment + interval '5 minutes' THEN n.status_since END)
                       FILTER (WHERE o.status <> n.status OR o.credits IS DISTINCT FROM n.credits) AS at
            FROM old_rows o JOIN new_rows n ON n.student_id = o.student_id AND n.course_id = o.course_id
            WHERE o.status <> n.status OR o.queue_number IS DISTINCT FROM n.queue_number
                OR (o.passed_over_at IS NULL) <> (n.passed_over_at IS NULL)
                OR o.credits IS DISTINCT FROM n.credits
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
                WHERE o.status <> n.status OR o.credits IS DISTINCT FROM n.credits ORDER BY n.student_id
            LOOP
                UPDATE students SET schedule_revision = schedule_revision + 1 WHERE id = change.student_id;
            END LOOP;
        END IF;
        INSERT INTO enrollment_events
            (at, student_id, course_id, from_status, to_status, actor, request_id, reason, credits)
        SELECT CASE WHEN n.revision = o.revision OR n.status = o.status
                    THEN (SELECT last_event_at FROM courses WHERE id = n.course_id) ELSE n.status_since END,
               n.student_id, n.course_id, o.status, n.status,
               CASE WHEN n.revision = o.revision THEN 'database' ELSE n.actor END,
               CASE WHEN n.revision = o.revision THEN NULL ELSE n.request_id END,
               CASE WHEN n.revision = o.revision THEN NULL ELSE n.reason END,
               n.credits
        FROM old_rows o JOIN new_rows n ON n.student_id = o.student_id AND n.course_id = o.course_id
        WHERE o.status <> n.status OR o.credits IS DISTINCT FROM n.credits ORDER BY n.course_id, n.student_id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION adopt_enrollments() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE
        change record;
    BEGIN
        FOR change IN
            SELECT student_id FROM student_courses
            WHERE course_id = NEW.id AND status IN ('enrolled', 'waitlisted') ORDER BY student_id
        LOOP
            UPDATE students SET schedule_revision = schedule_revision + 1 WHERE id = change.student_id;
        END LOOP;
        UPDATE student_courses SET credits = NEW.credits
        WHERE course_id = NEW.id AND status = 'enrolled' AND credits IS DISTINCT FROM NEW.credits;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER student_courses_held_rows_stay BEFORE DELETE ON student_courses
    FOR EACH ROW WHEN (OLD.status IN ('enrolled', 'waitlisted', 'withdrawn'))
    EXECUTE FUNCTION refuse_change('student_courses_held_rows_stay', 'unenroll before deleting')
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
        INSERT INTO enrollment_events
            (at, student_id, course_id, from_status, to_status, actor, request_id, reason, credits)
        SELECT CASE
                   WHEN NEW.status_since = datetime('now')
                   THEN (SELECT last_event_at FROM courses WHERE id = NEW.course_id)
                   WHEN NEW.status_since GLOB '????-??-?? ??:??:??.??????' THEN NEW.status_since
                   ELSE coalesce(strftime('%Y-%m-%d %H:%M:%f000', NEW.status_since), NEW.status_since) END,
               NEW.student_id, NEW.course_id, NULL, NEW.status, NEW.actor, NEW.request_id, NEW.reason,
               NEW.credits;
    END
    """,
    """
    CREATE TRIGGER student_courses_updated AFTER UPDATE ON student_courses
    WHEN OLD.status <> NEW.status OR OLD.queue_number IS NOT NEW.queue_number
        OR (OLD.passed_over_at IS NULL) <> (NEW.passed_over_at IS NULL) OR OLD.credits IS NOT NEW.credits BEGIN
        UPDATE courses
        SET seats_taken = seats_taken + (NEW.status = 'enrolled') - (OLD.status = 'enrolled'),
            waiting = waiting + (NEW.status = 'waitlisted') - (OLD.status = 'waitlisted'),
            passed_over_count = passed_over_count
                + (NEW.status = 'waitlisted' AND NEW.passed_over_at IS NOT NULL)
                - (OLD.status = 'waitlisted' AND OLD.passed_over_at IS NOT NULL),
            last_queue_number = max(last_queue_number, coalesce(NEW.queue_number, 0)),
            last_event_at = CASE
                WHEN NEW.status = OLD.status AND NEW.credits IS OLD.credits THEN last_event_at
                WHEN NEW.revision = OLD.revision OR NEW.status = OLD.status
                THEN max(coalesce(last_event_at, ''), strftime('%Y-%m-%d %H:%M:%f000', 'now'))
                WHEN NEW.status_since > coalesce(last_event_at, '')
                     AND NEW.status_since GLOB '????-??-?? ??:??:??.??????'
                     AND NEW.status_since <= strftime('%Y-%m-%d %H:%M:%f000', 'now', '+5 minutes')
                THEN NEW.status_since ELSE last_event_at END
        WHERE id = NEW.course_id;
        UPDATE students SET schedule_revision = schedule_revision + 1
        WHERE id = NEW.student_id AND (OLD.status <> NEW.status OR OLD.credits IS NOT NEW.credits)
            AND EXISTS (SELECT 1 FROM courses WHERE id = NEW.course_id AND term_id IS NOT NULL);
        INSERT INTO enrollment_events
            (at, student_id, course_id, from_status, to_status, actor, request_id, reason, credits)
        SELECT CASE
                   WHEN NEW.revision = OLD.revision OR NEW.status = OLD.status
                   THEN (SELECT last_event_at FROM courses WHERE id = NEW.course_id)
                   WHEN NEW.status_since GLOB '????-??-?? ??:??:??.??????' THEN NEW.status_since
                   ELSE coalesce(strftime('%Y-%m-%d %H:%M:%f000', NEW.status_since), NEW.status_since) END,
               NEW.student_id, NEW.course_id, OLD.status, NEW.status,
               iif(NEW.revision = OLD.revision, 'database', NEW.actor),
               iif(NEW.revision = OLD.revision, NULL, NEW.request_id),
               iif(NEW.revision = OLD.revision, NULL, NEW.reason),
               NEW.credits
        WHERE OLD.status <> NEW.status OR OLD.credits IS NOT NEW.credits;
    END
    """,
    """
    CREATE TRIGGER courses_adopted AFTER UPDATE OF term_id ON courses
    WHEN OLD.term_id IS NULL AND NEW.term_id IS NOT NULL BEGIN
        UPDATE students SET schedule_revision = schedule_revision + 1 WHERE id IN (
            SELECT student_id FROM student_courses WHERE course_id = NEW.id AND status IN ('enrolled', 'waitlisted')
        );
        UPDATE student_courses SET credits = NEW.credits
        WHERE course_id = NEW.id AND status = 'enrolled' AND credits IS NOT NEW.credits;
    END
    """,
    """
    CREATE TRIGGER student_courses_held_rows_stay BEFORE DELETE ON student_courses
    WHEN OLD.status IN ('enrolled', 'waitlisted', 'withdrawn') BEGIN
        SELECT RAISE(ABORT, 'student_courses_held_rows_stay: unenroll before deleting');
    END
    """,
)
NAMES = ("student_courses_inserted", "student_courses_updated", "courses_adopted", "student_courses_held_rows_stay")


def upgrade() -> None:
    """Put the triggers in the place of the old ones."""
    _replace(POSTGRESQL, SQLITE)


def downgrade() -> None:
    """Bring the old ones back."""
    before, held = (context.script.get_revision(each).module for each in ("0011", "0007"))
    new, changed, adopt, *_ = before.POSTGRESQL
    adopt = adopt.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    postgresql, sqlite = held.POSTGRESQL.format(held=held.HELD), held.SQLITE.format(held=held.HELD)
    _replace((new, changed, adopt, postgresql), (*before.SQLITE[:3], sqlite))


def _replace(postgresql: tuple[str, ...], sqlite: tuple[str, ...]) -> None:
    """Replace the triggers; those that call a function on PostgreSQL have it replaced."""
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP TRIGGER student_courses_held_rows_stay ON student_courses")
    else:
        for name in NAMES:
            op.execute(f"DROP TRIGGER {name}")
    for statement in postgresql if op.get_context().dialect.name == "postgresql" else sqlite:
        op.execute(sa.text(statement))
