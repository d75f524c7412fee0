"""The enrollment calls: enroll, replace and unenroll, and promotion from waitlists.

1. Every transaction locks courses first, ascending by id, then students, ascending by id, then enrollments. A term or a
   catalog entry is locked before all of them.
2. Without rules, one statement decides and applies. It decides on the rows that it has locked, and only a refused
   request runs the query that explains it.
3. By the rules of a term, one statement loads what they look at, and another applies what they decided, if it still
   holds; else both are done again under the locks.
4. Constraints decide last.

request, results                                what callers give and get
enrolling, replacing, unenrolling, promotion    what callers use; passing_over: promotion by rules
situation, questions, loading, situation_rows   what the rules look at, and how it is read
rules, decisions                                the rules, and what they say about a request
statements, decided_statements, exchanging      how it is applied: by seats, as decided, under locks
parameters                                      what these statements have in common
letting_in                                      one student on a waitlist before the others, by a registrar
bulk, taking_seats                              requests of several students in one transaction, for imports
course_memory                                   which statement comes first
explaining, forecasting, rechecking             without a change: dry runs and why; who more seats promote; what is no
                                                longer allowed
"""

from .bulk import BulkResult, enrollments_of, exchange_all
from .decisions import Decision
from .enrolling import enroll
from .explaining import dry_run
from .promotion import Promotion, PromotionBatch, due_courses, promote, promote_all, promote_batch
from .replacing import Replacement, ReplaceOptions, replace
from .request import EnrollmentRequest
from .results import CourseOutcome, EnrollmentResult
from .unenrolling import unenroll

__all__ = [
    "BulkResult",
    "CourseOutcome",
    "Decision",
    "EnrollmentRequest",
    "EnrollmentResult",
    "Promotion",
    "PromotionBatch",
    "ReplaceOptions",
    "Replacement",
    "dry_run",
    "due_courses",
    "enroll",
    "enrollments_of",
    "exchange_all",
    "promote",
    "promote_all",
    "promote_batch",
    "replace",
    "unenroll",
]
