"""The enrollment calls: enroll, replace and unenroll, and promotion from waitlists.

1. Every transaction locks courses first, ascending by id, then students, ascending by id, then enrollments.
2. One statement decides and applies. It decides on the rows that it has locked.
3. Constraints decide last.
4. Only a refused request runs the query that explains it.
"""

from .enrolling import Outcome, enroll
from .exchanging import EnrollRequest
from .promotion import Batch, Promotion, due_courses, promote, promote_all, promote_batch
from .replacing import Replacement, ReplaceOptions, replace
from .unenrolling import unenroll

__all__ = [
    "Batch",
    "EnrollRequest",
    "Outcome",
    "Promotion",
    "ReplaceOptions",
    "Replacement",
    "due_courses",
    "enroll",
    "promote",
    "promote_all",
    "promote_batch",
    "replace",
    "unenroll",
]
