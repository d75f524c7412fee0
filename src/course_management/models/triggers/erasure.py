"""When an update of a line of a ledger is more than the erasure of what it says about a student.

`{differs}` is the operator for "is different" that knows null. The words of an erased reason are those of
`models.ERASED`; erased facts are an empty object.
"""

from __future__ import annotations


def _any(*columns: str) -> str:
    return " OR ".join(f"NEW.{column} {{differs}} OLD.{column}" for column in columns)


REASON_NOT_ERASED = "OLD.reason IS NULL OR NEW.reason {differs} 'erased' OR " + _any(
    "id", "at", "student_id", "course_id", "from_status", "to_status", "actor", "request_id", "credits"
)
FACTS_NOT_ERASED = "NEW.facts {differs} '{{}}' OR " + _any(
    "id", "at", "student_id", "subject", "subject_id", "change", "actor", "request_id"
)
