"""The triggers on SQLite."""

from __future__ import annotations

from .erasure import FACTS_NOT_ERASED, REASON_NOT_ERASED

REFERENCES = (
    ("terms", "courses", "term_id"),
    ("groups", "registration_windows", "group_id"),
    ("groups", "student_groups", "group_id"),
    ("groups", "course_restrictions", "group_id"),
    ("groups", "prerequisites", "required_group_id"),
    ("catalog_entries", "courses", "catalog_id"),
    ("catalog_entries", "prerequisites", "required_id"),
    ("catalog_entries", "completions", "catalog_id"),
    ("students", "completions", "student_id"),
    ("courses", "course_links", "linked_id"),
)
"""A table, and the column of another that refers to it and stops a row from being deleted."""

_REFERENCE = """
    CREATE TRIGGER fk_{table}_{column} BEFORE DELETE ON {parent}
    WHEN EXISTS (SELECT 1 FROM {table} WHERE {column} = OLD.id) BEGIN
        SELECT RAISE(ABORT, 'fk_{table}_{column}: rows of {table} refer to it');
    END
"""

SQLITE: tuple[str, ...] = (
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
    CREATE TRIGGER student_courses_held_rows_stay BEFORE DELETE ON student_courses
    WHEN OLD.status IN ('enrolled', 'waitlisted', 'withdrawn') BEGIN
        SELECT RAISE(ABORT, 'student_courses_held_rows_stay: unenroll before deleting');
    END
    """,
    """
    CREATE TRIGGER student_courses_key_is_fixed BEFORE UPDATE ON student_courses
    WHEN OLD.student_id <> NEW.student_id OR OLD.course_id <> NEW.course_id BEGIN
        SELECT RAISE(ABORT, 'student_courses_key_is_fixed: unenroll here and enroll there');
    END
    """,
    f"""
    CREATE TRIGGER enrollment_events_not_changed BEFORE UPDATE ON enrollment_events
    WHEN {REASON_NOT_ERASED.format(differs="IS NOT")} BEGIN
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
    CREATE TRIGGER courses_term_is_fixed BEFORE UPDATE OF term_id ON courses
    WHEN OLD.term_id IS NOT NULL AND OLD.term_id IS NOT NEW.term_id BEGIN
        SELECT RAISE(ABORT, 'courses_term_is_fixed: a course never leaves or changes its term');
    END
    """,
    f"""
    CREATE TRIGGER rule_events_not_changed BEFORE UPDATE ON rule_events
    WHEN {FACTS_NOT_ERASED.format(differs="IS NOT")} BEGIN
        SELECT RAISE(ABORT, 'rule_events_append_only: the ledger is never rewritten');
    END
    """,
    """
    CREATE TRIGGER rule_events_not_deleted BEFORE DELETE ON rule_events BEGIN
        SELECT RAISE(ABORT, 'rule_events_append_only: the ledger is never rewritten');
    END
    """,
    """
    CREATE TRIGGER rule_events_not_replaced BEFORE INSERT ON rule_events
    WHEN EXISTS (SELECT 1 FROM rule_events WHERE id = NEW.id) BEGIN
        SELECT RAISE(ABORT, 'rule_events_append_only: the ledger is never rewritten');
    END
    """,
    # A violated foreign key has no name on SQLite, so these triggers give the name that PostgreSQL reports.
    *(_REFERENCE.format(parent=parent, table=table, column=column) for parent, table, column in REFERENCES),
)
