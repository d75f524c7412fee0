"""Students, courses, who is in which, and the ledger: tables, constraints, counters and guards.

Revision: 0001, the first

The triggers are a frozen copy: `course_management.models.triggers` says what the tables have now, this says what
this migration made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
CODE = sa.String(50, collation="C").with_variant(sa.String(50), "sqlite")
MOMENT = sa.DateTime(timezone=True)

POSTGRESQL = (
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
    DECLARE change record;
    BEGIN
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
        FOR change IN SELECT * FROM new_rows ORDER BY course_id, queue_number, student_id LOOP
            INSERT INTO enrollment_events (at, student_id, course_id, from_status, to_status, actor, request_id)
            VALUES (change.status_since, change.student_id, change.course_id, NULL, change.status,
                    change.actor, change.request_id);
        END LOOP;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION record_changed_enrollments() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    DECLARE change record;
    BEGIN
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
        FOR change IN
            SELECT o.status AS from_status, o.revision AS from_revision, n.*
            FROM old_rows o JOIN new_rows n ON n.student_id = o.student_id AND n.course_id = o.course_id
            WHERE o.status <> n.status ORDER BY n.course_id, n.student_id
        LOOP
            INSERT INTO enrollment_events (at, student_id, course_id, from_status, to_status, actor, request_id)
            VALUES (CASE WHEN change.revision = change.from_revision THEN clock_timestamp()
                         ELSE change.status_since END,
                    change.student_id, change.course_id, change.from_status, change.status,
                    CASE WHEN change.revision = change.from_revision THEN 'database' ELSE change.actor END,
                    CASE WHEN change.revision = change.from_revision THEN NULL ELSE change.request_id END);
        END LOOP;
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
    FOR EACH ROW WHEN (OLD.status <> 'unenrolled')
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
        INSERT INTO enrollment_events (at, student_id, course_id, from_status, to_status, actor, request_id)
        VALUES (NEW.status_since, NEW.student_id, NEW.course_id, NULL, NEW.status, NEW.actor, NEW.request_id);
        UPDATE courses
        SET seats_taken = seats_taken + (NEW.status = 'enrolled'),
            waiting = waiting + (NEW.status = 'waitlisted'),
            last_queue_number = max(last_queue_number, coalesce(NEW.queue_number, 0))
        WHERE id = NEW.course_id;
    END
    """,
    """
    CREATE TRIGGER student_courses_updated AFTER UPDATE ON student_courses
    WHEN OLD.status <> NEW.status OR OLD.queue_number IS NOT NEW.queue_number BEGIN
        INSERT INTO enrollment_events (at, student_id, course_id, from_status, to_status, actor, request_id)
        SELECT iif(NEW.revision = OLD.revision, strftime('%Y-%m-%d %H:%M:%f000', 'now'), NEW.status_since),
               NEW.student_id, NEW.course_id, OLD.status, NEW.status,
               iif(NEW.revision = OLD.revision, 'database', NEW.actor),
               iif(NEW.revision = OLD.revision, NULL, NEW.request_id)
        WHERE OLD.status <> NEW.status;
        UPDATE courses
        SET seats_taken = seats_taken + (NEW.status = 'enrolled') - (OLD.status = 'enrolled'),
            waiting = waiting + (NEW.status = 'waitlisted') - (OLD.status = 'waitlisted'),
            last_queue_number = max(last_queue_number, coalesce(NEW.queue_number, 0))
        WHERE id = NEW.course_id;
    END
    """,
    """
    CREATE TRIGGER student_courses_held_rows_stay BEFORE DELETE ON student_courses
    WHEN OLD.status <> 'unenrolled' BEGIN
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
)


def upgrade() -> None:
    op.create_table(
        "students",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_students"),
        sa.UniqueConstraint("email", name="uq_students_email"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "courses",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("code", CODE, nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("capacity", sa.Integer),
        sa.Column("waitlist_capacity", sa.Integer, server_default=sa.text("0")),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("seats_taken", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("waiting", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("last_queue_number", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_courses"),
        sa.UniqueConstraint("code", name="uq_courses_code"),
        sa.CheckConstraint(
            "seats_taken >= 0 AND (capacity IS NULL OR seats_taken <= capacity)",
            name=op.f("ck_courses_seats_within_capacity"),
        ),
        sa.CheckConstraint(
            "waiting >= 0 AND (waitlist_capacity IS NULL OR waiting <= waitlist_capacity)",
            name=op.f("ck_courses_waiting_within_waitlist"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "student_courses",
        sa.Column("student_id", ID, nullable=False),
        sa.Column("course_id", ID, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("status_since", MOMENT, server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False),
        sa.Column("previous_status", sa.String(20)),
        sa.Column("queue_number", sa.BigInteger),
        sa.Column("revision", sa.Integer, server_default=sa.text("1"), nullable=False),
        sa.Column("actor", sa.String(200), server_default=sa.text("'database'"), nullable=False),
        sa.Column("request_id", sa.String(128)),
        sa.PrimaryKeyConstraint("student_id", "course_id", name="pk_student_courses"),
        sa.CheckConstraint(
            "status IN ('enrolled', 'waitlisted', 'unenrolled')", name=op.f("ck_student_courses_status_known")
        ),
        sa.CheckConstraint(
            "(status = 'waitlisted') = (queue_number IS NOT NULL)",
            name=op.f("ck_student_courses_queue_number_iff_waiting"),
        ),
        sa.ForeignKeyConstraint(
            ["student_id"], ["students.id"], name="fk_student_courses_student_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name="fk_student_courses_course_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "uq_student_courses_course_id_queue_number",
        "student_courses",
        ["course_id", "queue_number"],
        unique=True,
        postgresql_where=sa.text("queue_number IS NOT NULL"),
        sqlite_where=sa.text("queue_number IS NOT NULL"),
    )
    op.create_index(
        "ix_student_courses_course_id_status_student_id", "student_courses", ["course_id", "status", "student_id"]
    )
    op.create_table(
        "enrollment_events",
        sa.Column("id", ID, sa.Identity(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("student_id", ID, nullable=False),
        sa.Column("course_id", ID, nullable=False),
        sa.Column("from_status", sa.String(20)),
        sa.Column("to_status", sa.String(20), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("request_id", sa.String(128)),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_enrollment_events_student_id_id", "enrollment_events", ["student_id", "id"])
    op.create_index("ix_enrollment_events_course_id_id", "enrollment_events", ["course_id", "id"])
    for statement in POSTGRESQL if op.get_context().dialect.name == "postgresql" else SQLITE:
        op.execute(sa.text(statement))


def downgrade() -> None:
    # A table takes its triggers along; functions stay until they are dropped.
    for table in ("enrollment_events", "student_courses", "courses", "students"):
        op.drop_table(table)
    if op.get_context().dialect.name == "postgresql":
        for function in ("record_changed_enrollments", "record_new_enrollments", "refuse_change"):
            op.execute(sa.text(f"DROP FUNCTION {function}()"))
