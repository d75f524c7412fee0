"""Triggers that count seats, write the ledger, and protect both.

They hold for every program that writes enrollments, psql and imports included: no course is oversold, every change has
a line in the ledger, and the counters are exact. A change whose `revision` did not rise was made by hand: its ledger
line has the actor `database` and the time of the database's clock, but no earlier than the line before it in the
course. The same holds for a row inserted without a date, which is recognized by the default (the start of the
transaction; on SQLite the present second).

One gap: on SQLite, INSERT OR REPLACE over an enrolled or waitlisted row fires no trigger on a connection that has not
set `recursive_triggers` (the service's connections have). The ledger refuses REPLACE everywhere. The statements are
those of the present schema; each migration has its own frozen copy, and a test compares the two.

PostgreSQL has statement-level triggers that loop over the transition tables: one update per course, so that a bulk load
does not update a course once per row, then one ledger line per change. The courses are updated in ascending order, the
order of all locks; the ledger is written after them, so that the ids of its lines about one course are in the order
of the changes. An INSERT ... ON CONFLICT DO UPDATE fires both triggers, one of them with no rows. SQLite has row-level
triggers only, with the same effect.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, MetaData, text

POSTGRESQL = (
    # TG_ARGV: the name by which a refusal is recognized, and its sentence.
    """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '%: %', TG_ARGV[0], TG_ARGV[1]
            USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_ARGV[0];
    END $$
    """,
    """
    CREATE FUNCTION record_new_enrollments() RETURNS trigger
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
    CREATE FUNCTION record_changed_enrollments() RETURNS trigger
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
    """
    CREATE TRIGGER student_courses_inserted AFTER INSERT ON student_courses
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION record_new_enrollments()
    """,
    """
    CREATE TRIGGER student_courses_updated AFTER UPDATE ON student_courses
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION record_changed_enrollments()
    """,
    """
    CREATE TRIGGER student_courses_held_rows_stay BEFORE DELETE ON student_courses
    FOR EACH ROW WHEN (OLD.status IN ('enrolled', 'waitlisted'))
    EXECUTE FUNCTION refuse_change('student_courses_held_rows_stay', 'unenroll before deleting')
    """,
    """
    CREATE TRIGGER student_courses_key_is_fixed BEFORE UPDATE ON student_courses
    FOR EACH ROW WHEN (OLD.student_id <> NEW.student_id OR OLD.course_id <> NEW.course_id)
    EXECUTE FUNCTION refuse_change('student_courses_key_is_fixed', 'unenroll here and enroll there')
    """,
    """
    CREATE TRIGGER student_courses_no_truncate BEFORE TRUNCATE ON student_courses
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('student_courses_no_truncate', 'unenroll instead')
    """,
    """
    CREATE TRIGGER enrollment_events_append_only BEFORE UPDATE OR DELETE ON enrollment_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change('enrollment_events_append_only', 'the ledger is never rewritten')
    """,
    """
    CREATE TRIGGER enrollment_events_no_truncate BEFORE TRUNCATE ON enrollment_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('enrollment_events_no_truncate', 'the ledger is never emptied')
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
    CREATE TRIGGER student_courses_held_rows_stay BEFORE DELETE ON student_courses
    WHEN OLD.status IN ('enrolled', 'waitlisted') BEGIN
        SELECT RAISE(ABORT, 'student_courses_held_rows_stay: unenroll before deleting');
    END
    """,
    """
    CREATE TRIGGER student_courses_key_is_fixed BEFORE UPDATE ON student_courses
    WHEN OLD.student_id <> NEW.student_id OR OLD.course_id <> NEW.course_id BEGIN
        SELECT RAISE(ABORT, 'student_courses_key_is_fixed: unenroll here and enroll there');
    END
    """,
    """
    CREATE TRIGGER enrollment_events_not_changed BEFORE UPDATE ON enrollment_events BEGIN
        SELECT RAISE(ABORT, 'enrollment_events_append_only: the ledger is never rewritten');
    END
    """,
    """
    CREATE TRIGGER enrollment_events_not_deleted BEFORE DELETE ON enrollment_events BEGIN
        SELECT RAISE(ABORT, 'enrollment_events_append_only: the ledger is never rewritten');
    END
    """,
    """
    CREATE TRIGGER enrollment_events_not_replaced BEFORE INSERT ON enrollment_events
    WHEN EXISTS (SELECT 1 FROM enrollment_events WHERE id = NEW.id) BEGIN
        SELECT RAISE(ABORT, 'enrollment_events_append_only: the ledger is never rewritten');
    END
    """,
)

STATEMENTS = {"postgresql": POSTGRESQL, "sqlite": SQLITE}


def create(_: MetaData, connection: Connection, **__: Any) -> None:
    """Create the triggers. Listens to `after_create` of the models, so that `create_all` creates the whole database."""
    for statement in STATEMENTS[connection.dialect.name]:
        connection.execute(text(statement))
