"""Who is in which course: enrolling, replacing, leaving, and promotion from the queue.

Four laws. Everybody locks the courses first, ascending by id, and then the enrollments (a
replacement locks its student before that: nobody who holds a course waits for that lock). One statement decides
and applies; what it decides on is the row it has locked. Constraints have the last word. Only a refused request
pays for its explanation.
"""

from .enrolling import Outcome, enroll
from .leaving import unenroll
from .promotion import Promotion, due_courses, is_due, promote, promote_all, promote_batch
from .replacing import Replacement, replace

__all__ = [
    "Outcome",
    "Promotion",
    "Replacement",
    "due_courses",
    "enroll",
    "is_due",
    "promote",
    "promote_all",
    "promote_batch",
    "replace",
    "unenroll",
]
