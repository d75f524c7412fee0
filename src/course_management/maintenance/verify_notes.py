"""What `verify` notes about the rules of registration: enrollments that the rules would refuse today.

They are no faults, because rules decide at the moment of enrolling. `course-management recheck` lists them for a term,
by asking the rules; this is plain SQL, which counts a large database in seconds. Waived rules are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from ..repositories.timetables import clashes

Note = tuple[str, str, str | Callable[[Connection], list[dict[str, Any]]]]
"""The name of a condition, a query that counts what is checked, and what finds the rows that violate it."""

_ENROLLED = (
    "SELECT count(*) FROM student_courses AS e JOIN courses AS c ON c.id = e.course_id"
    " WHERE e.status = 'enrolled' AND c.term_id IS NOT NULL"
)
_LIMITS = """
SELECT e.student_id, t.code AS term, CAST(sum(e.credits) AS DOUBLE PRECISION) / 100 AS credits,
    CAST(coalesce(s.credit_limit, t.credit_limit) AS DOUBLE PRECISION) / 100 AS credit_limit
FROM student_courses AS e
    JOIN courses AS c ON c.id = e.course_id
    JOIN terms AS t ON t.id = c.term_id
    LEFT JOIN student_terms AS s ON s.student_id = e.student_id AND s.term_id = t.id
WHERE e.status = 'enrolled'
GROUP BY e.student_id, t.id, t.code, t.credit_limit, s.credit_limit
HAVING sum(e.credits) > coalesce(s.credit_limit, t.credit_limit)
"""
_PREREQUISITES = """
SELECT e.student_id, e.course_id, count(DISTINCT p.group_number) AS groups_missing
FROM student_courses AS e
    JOIN courses AS c ON c.id = e.course_id
    JOIN terms AS t ON t.id = c.term_id
    JOIN prerequisites AS p ON p.catalog_id = c.catalog_id
WHERE e.status = 'enrolled'
    AND NOT EXISTS (
        SELECT 1 FROM prerequisites AS a WHERE a.catalog_id = p.catalog_id AND a.group_number = p.group_number AND (
            EXISTS (
                SELECT 1 FROM student_groups AS g
                WHERE g.student_id = e.student_id AND g.group_id = a.required_group_id
            ) OR EXISTS (
                SELECT 1 FROM completions AS k
                WHERE k.student_id = e.student_id AND k.catalog_id = a.required_id AND k.passed
                    AND (a.minimum_points IS NULL OR coalesce(k.points, 0) >= a.minimum_points)
            ) OR EXISTS (
                SELECT 1 FROM student_courses AS o
                    JOIN courses AS d ON d.id = o.course_id
                    JOIN terms AS u ON u.id = d.term_id
                WHERE o.student_id = e.student_id AND o.course_id <> e.course_id AND o.status = 'enrolled'
                    AND d.catalog_id = a.required_id
                    AND (u.starts_on < t.starts_on OR (u.id = t.id AND a.concurrent_allowed))
            )
        )
    )
    AND NOT EXISTS (
        SELECT 1 FROM permissions AS w WHERE w.student_id = e.student_id AND w.course_id = e.course_id
            AND w.rule = 'prerequisite_missing' AND w.revoked_at IS NULL
    )
GROUP BY e.student_id, e.course_id
"""


def notes(evidence: int) -> list[Note]:
    """Return the notes, each with at most so many rows of evidence."""
    return [
        ("no student is over a credit limit", _ENROLLED, _LIMITS),
        (
            "no student has two courses at the same time",
            _ENROLLED,
            lambda connection: _first(clashes, connection, evidence),
        ),
        ("students have the prerequisites of their courses", _ENROLLED, _PREREQUISITES),
    ]


def _first(find: Callable[[Connection], Any], connection: Connection, evidence: int) -> list[dict[str, Any]]:
    return list(itertools.islice(find(connection), evidence))
