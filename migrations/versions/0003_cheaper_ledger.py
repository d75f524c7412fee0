"""PostgreSQL writes the ledger by one INSERT a statement, and not at all where nothing changed.

What is written stays the same: only the functions behind the triggers are new, in a frozen copy.

Revision: 0003, after 0002
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

FUNCTIONS = (
    """
    CREATE OR REPLACE FUNCTION record_new_enrollments() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE change record;
    BEGIN
        IF NOT EXISTS (SELECT FROM new_rows) THEN RETURN NULL; END IF;
        FOR change IN
            SELECT course_id,
                   count(*) FILTER (WHERE status = 'enrolled') AS seats,
                   count(*) FILTER (WHERE status = 'waitlisted') AS places,
                   max(queue_number) AS queue_number
            FROM new_rows GROUP BY course_id ORDER BY course_id
        LOOP
            UPDATE courses
            SET seats_taken = seats_taken + change.seats,
                waiting = waiting + change.places,
                last_queue_number = greatest(last_queue_number, change.queue_number)
            WHERE id = change.course_id;
        END LOOP;
        INSERT INTO enrollment_events (at, student_id, course_id, from_status, to_status, actor, request_id)
        SELECT status_since, student_id, course_id, NULL, status, actor, request_id
        FROM new_rows ORDER BY course_id, queue_number, student_id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION record_changed_enrollments() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE change record;
    BEGIN
        IF NOT EXISTS (SELECT FROM new_rows) THEN RETURN NULL; END IF;
        FOR change IN
            SELECT n.course_id,
                   count(*) FILTER (WHERE n.status = 'enrolled')
                       - count(*) FILTER (WHERE o.status = 'enrolled') AS seats,
                   count(*) FILTER (WHERE n.status = 'waitlisted')
                       - count(*) FILTER (WHERE o.status = 'waitlisted') AS places,
                   max(n.queue_number) AS queue_number
            FROM old_rows o JOIN new_rows n ON n.student_id = o.student_id AND n.course_id = o.course_id
            WHERE o.status <> n.status OR o.queue_number IS DISTINCT FROM n.queue_number
            GROUP BY n.course_id ORDER BY n.course_id
        LOOP
            UPDATE courses
            SET seats_taken = seats_taken + change.seats,
                waiting = waiting + change.places,
                last_queue_number = greatest(last_queue_number, change.queue_number)
            WHERE id = change.course_id;
        END LOOP;
        INSERT INTO enrollment_events (at, student_id, course_id, from_status, to_status, actor, request_id)
        SELECT CASE WHEN n.revision = o.revision THEN clock_timestamp() ELSE n.status_since END,
               n.student_id, n.course_id, o.status, n.status,
               CASE WHEN n.revision = o.revision THEN 'database' ELSE n.actor END,
               CASE WHEN n.revision = o.revision THEN NULL ELSE n.request_id END
        FROM old_rows o JOIN new_rows n ON n.student_id = o.student_id AND n.course_id = o.course_id
        WHERE o.status <> n.status ORDER BY n.course_id, n.student_id;
        RETURN NULL;
    END $$
    """,
)


def upgrade() -> None:
    """Put the functions in the place of the old ones."""
    if op.get_context().dialect.name == "postgresql":
        for function in FUNCTIONS:
            op.execute(function)


def downgrade() -> None:
    """Nothing to take back: the functions write what the old ones wrote, and 0001 drops them by their names."""
