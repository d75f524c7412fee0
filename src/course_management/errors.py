"""The tree of refusals: one class, one code, one status, one sentence. Imports nothing of ours.

A service refuses by raising one of these, without knowing HTTP; `api/errors.py` turns it into
`application/problem+json`. A `Reason` is one of several facts inside one refusal: why this course
could not be had. Each code has a page, `/problems/<code-with-dashes>`, made from its class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar


class Explained:
    """What every code tells a person: a title, what it means, and what to do about it."""

    code: ClassVar[str]
    title: ClassVar[str]
    meaning: ClassVar[str]
    remedy: ClassVar[str]

    @classmethod
    def slug(cls) -> str:
        """The code as it stands in a URL."""
        return cls.code.replace("_", "-")


class Problem(Explained, Exception):
    """A request that is not carried out. Nothing of it was applied.

    `detail` is the sentence about this occurrence (default: the meaning of the code); `facts` become members
    of the answer beside it; `headers` are sent along.
    """

    status: ClassVar[int]
    always: ClassVar[Mapping[str, str]] = {}
    """Headers of every answer with this code."""

    def __init__(self, detail: str | None = None, *, headers: Mapping[str, str] | None = None, **facts: Any) -> None:
        super().__init__(detail or self.meaning)
        self.detail = detail or self.meaning
        self.headers = {**self.always, **(headers or {})}
        self.facts = facts


# --- the request cannot be understood -------------------------------------------------------------------


class BadRequest(Problem):
    code, status, title = "bad_request", 400, "Bad request"
    meaning = "The request is not well-formed HTTP."
    remedy = "Compare the request with the documentation page and send it again."


class MalformedJson(Problem):
    code, status, title = "malformed_json", 400, "Malformed JSON"
    meaning = "The body is not one JSON document in UTF-8."
    remedy = (
        "Send one JSON object in UTF-8. Duplicate keys, NaN, Infinity, numbers out of range, nesting deeper than 64 "
        "levels and more than 10,000 arrays and objects are not accepted."
    )


class MalformedPrecondition(Problem):
    code, status, title = "malformed_precondition", 400, "Malformed precondition"
    meaning = "The If-Match header is not a list of entity tags."
    remedy = 'Send the ETag as it was received, quotes included: If-Match: "1f0c.9a2e".'


class LengthRequired(Problem):
    code, status, title = "length_required", 411, "Length required"
    meaning = "The body is sent in chunks, and for this request only a body whose length is declared is accepted."
    remedy = "Send the header Content-Length, and no Transfer-Encoding. JSON bodies may be sent in chunks."


class PayloadTooLarge(Problem):
    code, status, title = "payload_too_large", 413, "Body too large"
    meaning = "The body is larger than this service reads."
    remedy = "Send less at once: one request enrolls one student in at most 100 courses."


class UriTooLong(Problem):
    code, status, title = "uri_too_long", 414, "Address too long"
    meaning = "The path and query of the request are longer than 8 kB."
    remedy = "Send many course ids in the body, not in the query."


class UnsupportedMediaType(Problem):
    code, status, title = "unsupported_media_type", 415, "Unsupported media type"
    meaning = "The body is not of a media type that this address accepts."
    remedy = (
        "Send the header Content-Type: application/json, or the one that the documentation names for this address, and "
        "no Content-Encoding."
    )


class ValidationFailed(Problem):
    code, status, title = "validation_failed", 422, "Validation failed"
    meaning = "The request was read, but some of its values are not allowed."
    remedy = "The list `errors` names every place that is wrong and what is expected there."


class HeadersTooLarge(Problem):
    code, status, title = "headers_too_large", 431, "Headers too large"
    meaning = "The headers of the request are longer than 8 kB together."
    remedy = "Send fewer or shorter headers; this service needs no cookies."


# --- the caller may not -----------------------------------------------------------------------------------


class Unauthenticated(Problem):
    code, status, title = "unauthenticated", 401, "Who are you?"
    meaning = "This needs a key or a token, and the request brings none that is valid."
    remedy = (
        "Send the header Authorization: Bearer, with the key of your service or a token of your institution's issuer. "
        "Ask for a new one if it has expired."
    )
    always: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": 'Bearer realm="course-management"'}


class Forbidden(Problem):
    code, status, title = "forbidden", 403, "Not allowed"
    meaning = "You are known, but this is not yours to do."
    remedy = "The documentation says who may do what. Ask the registrar, or for a key with the scope that is named."


class ProtectedMode(Problem):
    code, status, title = "protected_mode", 403, "Protected mode"
    meaning = (
        "No authentication is configured, so this service answers only those who call it directly on its own machine: "
        "create a key with `course-management keys create`, or set OIDC_ISSUER."
    )
    remedy = (
        "On the machine itself, call http://127.0.0.1 or http://localhost with HTTP/1.1 and without a proxy. For all "
        "other callers, the operator configures authentication; the README says how."
    )


class TooManyRequests(Problem):
    code, status, title = "too_many_requests", 429, "Too many requests"
    meaning = "You have asked more often than is allowed in this time."
    remedy = "Wait as many seconds as the Retry-After header says, then go on. Nothing of this request was applied."


# --- the thing is not there -------------------------------------------------------------------------------


class NotFound(Problem):
    code, status, title = "not_found", 404, "Not found"
    meaning = "There is nothing at this address."
    remedy = "Look the address up at /docs. Ids are whole numbers from 1, without leading zeros."


class MethodNotAllowed(Problem):
    code, status, title = "method_not_allowed", 405, "Method not allowed"
    meaning = "This address does not know the method of the request."
    remedy = "The Allow header names the methods it knows."


class StudentNotFound(Problem):
    code, status, title = "student_not_found", 404, "Student not found"
    meaning = "There is no student with this id."
    remedy = "Check the id, or create the student with POST /students."


class CourseNotFound(Problem):
    code, status, title = "course_not_found", 404, "Course not found"
    meaning = "There is no course with this id."
    remedy = "Check the id, or create the course with POST /courses. Of several, `decisions` tells which."


# --- a rule refuses ---------------------------------------------------------------------------------------


class Conflict(Problem):
    """Base of the refusals by a rule: the request is valid, and the present state forbids it."""

    status = 409


class EnrollmentRefused(Conflict):
    code, title = "enrollment_refused", "Enrollment refused"
    meaning = "At least one of the courses cannot be had, so none was changed."
    remedy = "`decisions` says for each course what stands in the way. Leave those courses out, or wait for a seat."


class EmailTaken(Conflict):
    code, title = "email_taken", "E-mail address taken"
    meaning = "Another student has this e-mail address (capitals do not count)."
    remedy = "Use another address, or the student who has it: `existing_id`, for callers who may read students."


class CodeTaken(Conflict):
    code, title = "code_taken", "Course code taken"
    meaning = "Another course has this code."
    remedy = "Use another code, or the course that has it: `existing_id`, for callers who may read courses."


class StudentHasEnrollments(Conflict):
    code, title = "student_has_enrollments", "Student has enrollments"
    meaning = "The student holds a seat or a place in a queue and cannot be deleted."
    remedy = "Take the student out of every course first, with DELETE /students/{id}/unenroll."


class CourseHasEnrollments(Conflict):
    code, title = "course_has_enrollments", "Course has enrollments"
    meaning = "Students hold seats or places in the queue of this course, so it cannot be deleted."
    remedy = "Take every student on the roster out of the course first."


class CapacityBelowEnrollment(Conflict):
    code, title = "capacity_below_enrollment", "Capacity below enrollment"
    meaning = "The capacity would be smaller than the number of seats taken."
    remedy = "Choose a capacity of at least `seats_taken`, or take students out first."


class WaitlistCapacityBelowWaiting(Conflict):
    code, title = "waitlist_capacity_below_waiting", "Waitlist capacity below waiting"
    meaning = "The waitlist would be smaller than the number of students waiting."
    remedy = "Choose a waitlist capacity of at least `waiting`."


class PreconditionFailed(Problem):
    code, status, title = "precondition_failed", 412, "Precondition failed"
    meaning = "The thing was changed since the ETag in If-Match was given out."
    remedy = "Read it again, look at what changed, and repeat the request with the new ETag."


# --- it is our fault --------------------------------------------------------------------------------------


class InternalError(Problem):
    code, status, title = "internal_error", 500, "Internal error"
    meaning = "The service made a mistake. Nothing of the request was applied unless it was already answered."
    remedy = "Repeating an enrollment call is safe. Report the request_id to whoever runs the service."


class IssuerUnavailable(Problem):
    code, status, title = "issuer_unavailable", 503, "Issuer unavailable"
    meaning = "Tokens cannot be checked, because the public keys of their issuer are unavailable."
    remedy = "Wait the seconds of Retry-After and repeat the request. Keys of services work meanwhile."
    always: ClassVar[Mapping[str, str]] = {"Retry-After": "10"}


class DatabaseUnavailable(Problem):
    code, status, title = "database_unavailable", 503, "Database unavailable"
    always: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}
    meaning = "The database cannot serve the request at the moment."
    remedy = "Wait the seconds of Retry-After and repeat the request: every enrollment call is safe to repeat."


class Overloaded(Problem):
    code, status, title = "overloaded", 503, "Overloaded"
    always: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}
    meaning = "More requests come in than can be served soon, so this one was not begun."
    remedy = "Wait the seconds of Retry-After and repeat the request; after each further refusal, wait twice as long."


# --- reasons inside a refused enrollment ------------------------------------------------------------------


class Reason(Explained):
    """Why one course cannot be had. `facts` are the figures behind it, members of the reason in the answer."""

    def __init__(self, **facts: Any) -> None:
        self.facts = facts

    def describe(self) -> str:
        """The sentence about this course."""
        return self.meaning


class UnknownCourse(Reason):
    code, title = CourseNotFound.code, CourseNotFound.title
    meaning, remedy = CourseNotFound.meaning, CourseNotFound.remedy


class CourseFull(Reason):
    """Facts: `capacity` (seats), `waitlist_open` (whether a place in the queue could be had now)."""

    code, title = "course_full", "Course full"
    meaning = "Every seat of the course is taken, or is owed to somebody who waits for it."
    remedy = 'Repeat the request with "waitlist": true when `waitlist_open` is true, or choose another course.'


class WaitlistFull(Reason):
    """Facts: `capacity` (seats), `waitlist_capacity` (places in the queue)."""

    code, title = "waitlist_full", "Waitlist full"
    meaning = "Every seat of the course is taken, and so is every place in its queue."
    remedy = "Choose another course, or try again when somebody has left."


def catalogue() -> dict[str, type[Explained]]:
    """Every code with the class that explains it, problems before reasons, in the order of this page."""

    def leaves(cls: type[Explained]) -> Iterator[type[Explained]]:
        if "code" in vars(cls):
            yield cls
        for child in cls.__subclasses__():
            yield from leaves(child)

    found: dict[str, type[Explained]] = {}
    roots: Sequence[type[Explained]] = (Problem, Reason)
    for root in roots:
        for cls in leaves(root):
            found.setdefault(cls.code, cls)
    return found
