"""The parameters that the statements of this package have in common; see `EnrollmentRequest.parameters`.

They are sent as `student` and `by_actor` where a column is `student_id` or `actor`: SQLAlchemy reserves the names of
columns for the values of an INSERT or UPDATE.
"""

from __future__ import annotations

from sqlalchemy import Boolean, DateTime, Integer, String, bindparam

from ...database.types import Id, IdList, UtcDateTime

student_id = bindparam("student", type_=Id)
student_ids = bindparam("students", type_=IdList)
course_ids = bindparam("course_ids", type_=IdList)
requested = bindparam("requested", type_=Integer)  # how many courses
waitlist = bindparam("waitlist", type_=Boolean)
withdrawn = bindparam("withdrawn", type_=IdList)
at = bindparam("at", type_=UtcDateTime)  # the moment of a situation
now = bindparam("now", type_=DateTime(timezone=True))  # of a change; in UTC, so it needs no conversion by `UtcDateTime`
actor = bindparam("by_actor", type_=String)
request_id = bindparam("by_request", type_=String)
ledger_reason = bindparam("by_reason", type_=String)
