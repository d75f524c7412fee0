"""The functions that differ on Citus. They replace those of PostgreSQL at the end of `migrate`.

Citus cannot insert from a transition table into a distributed table, nor read both in one statement. So the ledger is
written line by line, and the time of the course's last event is read before each line.
"""

from __future__ import annotations

import re

from .postgresql import POSTGRESQL

_LEDGER = re.compile(r" +INSERT INTO enrollment_events\n.*?;\n", re.DOTALL)

NEW_LINES = """
        FOR change IN SELECT * FROM new_rows ORDER BY course_id, queue_number, student_id LOOP
            SELECT greatest(last_event_at, change.status_since) INTO latest FROM courses WHERE id = change.course_id;
            INSERT INTO enrollment_events
                (at, student_id, course_id, from_status, to_status, actor, request_id, reason, credits)
            VALUES (CASE WHEN change.status_since = transaction_timestamp() THEN latest ELSE change.status_since END,
                    change.student_id, change.course_id, NULL, change.status, change.actor, change.request_id,
                    change.reason, change.credits);
        END LOOP;
"""
CHANGED_LINES = """
        FOR change IN
            SELECT n.*, o.status AS from_status, n.revision = o.revision AS by_hand
            FROM old_rows o JOIN new_rows n ON n.student_id = o.student_id AND n.course_id = o.course_id
            WHERE o.status <> n.status OR o.credits IS DISTINCT FROM n.credits ORDER BY n.course_id, n.student_id
        LOOP
            SELECT last_event_at INTO moment FROM courses WHERE id = change.course_id;
            INSERT INTO enrollment_events
                (at, student_id, course_id, from_status, to_status, actor, request_id, reason, credits)
            VALUES (CASE WHEN change.by_hand OR change.status = change.from_status THEN moment
                         ELSE change.status_since END,
                    change.student_id, change.course_id, change.from_status, change.status,
                    CASE WHEN change.by_hand THEN 'database' ELSE change.actor END,
                    CASE WHEN change.by_hand THEN NULL ELSE change.request_id END,
                    CASE WHEN change.by_hand THEN NULL ELSE change.reason END,
                    change.credits);
        END LOOP;
"""


def _line_by_line(function: str, lines: str) -> str:
    return _LEDGER.sub(lambda _: lines.lstrip("\n"), function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))


CITUS = (_line_by_line(POSTGRESQL[1], NEW_LINES), _line_by_line(POSTGRESQL[2], CHANGED_LINES))
