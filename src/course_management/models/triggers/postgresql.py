"""The triggers and their functions on PostgreSQL."""

from __future__ import annotations

from .erasure import FACTS_NOT_ERASED, REASON_NOT_ERASED

POSTGRESQL: tuple[str, ...] = (
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
    CREATE FUNCTION record_changed_enrollments() RETURNS trigger
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
    FOR EACH ROW WHEN (OLD.status IN ('enrolled', 'waitlisted', 'withdrawn'))
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
    CREATE TRIGGER enrollment_events_append_only BEFORE DELETE ON enrollment_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change('enrollment_events_append_only', 'the ledger is never rewritten')
    """,
    f"""
    CREATE TRIGGER enrollment_events_not_changed BEFORE UPDATE ON enrollment_events
    FOR EACH ROW WHEN ({REASON_NOT_ERASED.format(differs="IS DISTINCT FROM")})
    EXECUTE FUNCTION refuse_change('enrollment_events_append_only', 'the ledger is never rewritten')
    """,
    """
    CREATE TRIGGER enrollment_events_no_truncate BEFORE TRUNCATE ON enrollment_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('enrollment_events_no_truncate', 'the ledger is never emptied')
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
        UPDATE student_courses SET credits = NEW.credits
        WHERE course_id = NEW.id AND status = 'enrolled' AND credits IS DISTINCT FROM NEW.credits;
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
    """
    CREATE TRIGGER rule_events_append_only BEFORE DELETE ON rule_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change('rule_events_append_only', 'the ledger is never rewritten')
    """,
    f"""
    CREATE TRIGGER rule_events_not_changed BEFORE UPDATE ON rule_events
    FOR EACH ROW WHEN ({FACTS_NOT_ERASED.format(differs="IS DISTINCT FROM")})
    EXECUTE FUNCTION refuse_change('rule_events_append_only', 'the ledger is never rewritten')
    """,
    """
    CREATE TRIGGER rule_events_no_truncate BEFORE TRUNCATE ON rule_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('rule_events_no_truncate', 'the ledger is never emptied')
    """,
)
