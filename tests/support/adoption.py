"""Students who enroll, unenroll and replace their courses while the courses are moved into terms."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import Connection, Engine, text

from course_management.context import RequestContext
from course_management.database import Raced
from course_management.errors import Problem
from course_management.services import enrollment

MARKS = {
    "postgresql": (
        "CREATE TABLE adoption_marks (course_id bigint PRIMARY KEY, line bigint NOT NULL)",
        """
        CREATE FUNCTION mark_adoption() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO adoption_marks
            SELECT NEW.id, coalesce(max(id), 0) FROM enrollment_events WHERE course_id = NEW.id;
            RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER mark_adoption AFTER UPDATE OF term_id ON courses FOR EACH ROW EXECUTE FUNCTION mark_adoption()",
    ),
    "sqlite": (
        "CREATE TABLE adoption_marks (course_id INTEGER PRIMARY KEY, line INTEGER NOT NULL)",
        """
        CREATE TRIGGER mark_adoption AFTER UPDATE OF term_id ON courses BEGIN
            INSERT INTO adoption_marks
            SELECT NEW.id, coalesce(max(id), 0) FROM enrollment_events WHERE course_id = NEW.id;
        END
        """,
    ),
}
"""Statements that let the database note the last line of the ledger of a course when it gets its term.

The course is locked then, and every change of its enrollments needs that lock. So each later line is of a change that
was made after the course had got its term.
"""
SLIPPED_THROUGH = """
    SELECT events.* FROM enrollment_events AS events
    JOIN adoption_marks AS marks ON marks.course_id = events.course_id AND events.id > marks.line
    JOIN courses ON courses.id = events.course_id
    WHERE events.to_status IN ('enrolled', 'waitlisted') AND coalesce(events.from_status, '') <> events.to_status AND (
        EXISTS (SELECT 1 FROM holds WHERE holds.student_id = events.student_id)
        OR (events.actor <> 'promotion' AND NOT EXISTS (
            SELECT 1 FROM registration_windows AS windows WHERE windows.term_id = courses.term_id
        ))
    )
"""
"""Changes in a term that no rule allows: of a student with a hold, or in a term without windows.

Promotion needs no window. Each hold blocks enrolling, and none is released.
"""


def mark_adoptions(engine: Engine) -> None:
    """Create the trigger."""
    with engine.begin() as connection:
        for statement in MARKS[engine.dialect.name]:
            connection.execute(text(statement))


def slipped_through(connection: Connection) -> Sequence[object]:
    """Return the lines of the ledger that no rule allows."""
    return connection.execute(text(SLIPPED_THROUGH)).all()


def act(dice: random.Random, students: Sequence[int], courses: Sequence[int]) -> None:
    """Let a student do something, in an application context. Raises what is neither a refusal nor a lost race."""
    student, chosen = dice.choice(students), dice.sample(courses, dice.randint(1, 3))
    request = enrollment.EnrollmentRequest(student, chosen, waitlist=dice.random() < 0.5, context=RequestContext())
    kind = dice.choice(("enroll", "enroll", "unenroll", "replace"))
    with suppress(Problem, Raced):  # the response to a request that loses too many races is 503
        if kind == "enroll":
            enrollment.enroll(request)
        elif kind == "unenroll":
            enrollment.unenroll(student, chosen, context=request.context)
        else:
            enrollment.replace(request)
