"""The usual calls with a client of openapi-generator (python). Arguments: the address of a service and an API key."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta

from openapi_client import (
    ApiClient,
    ApiException,
    Configuration,
    Course,
    CourseChange,
    CoursesApi,
    EnrollBody,
    EnrollmentApi,
    NewCourse,
    NewStudent,
    ProblemDetails,
    ReplaceBody,
    StudentsApi,
    UnenrollBody,
)

_, url, key = sys.argv
configuration = Configuration(host=url, access_token=key, datetime_format="%Y-%m-%dT%H:%M:%S.%fZ")
api = ApiClient(configuration)
students, courses, enrollment = StudentsApi(api), CoursesApi(api), EnrollmentApi(api)


def failure(call: Callable[[], object]) -> ApiException:
    """Return the exception that a call raises."""
    try:
        call()
    except ApiException as error:
        return error
    raise AssertionError("the call did not fail")


def refusal(call: Callable[[], object]) -> ProblemDetails:
    """Return the problem in the response to a call."""
    problem = failure(call).data
    assert isinstance(problem, ProblemDetails)
    return problem


# Students and courses, with and without values that have a default.
ada, ben = (
    students.create_student(NewStudent(name=name, email=f"{name.lower()}@example.edu")).id for name in ("Ada", "Ben")
)
small = courses.create_course(NewCourse(code="CS225", title="Data Structures", capacity=1, waitlist_capacity=10))
large = courses.create_course(NewCourse(code="MA101", title="Calculus"))
assert (small.seats_available, large.capacity, large.waitlist_capacity) == (1, None, 0)
assert Course.from_dict(small.to_dict() | {"later": 1}) == small  # a later release may add fields
invalid = refusal(lambda: students.create_student(NewStudent(name="Cy", email="nonsense")))
assert [each.pointer for each in invalid.errors or []] == ["/email"]

# Enroll: a refusal with its reasons, then the waitlist.
first = enrollment.enroll_student_with_http_info(ada, EnrollBody(course_id=small.id))
assert first.status_code == 201
both = [small.id, large.id]
refused = refusal(lambda: enrollment.enroll_student(ben, EnrollBody(course_ids=both)))
assert (refused.status, refused.code) == (409, "enrollment_refused")
decisions = refused.decisions or []
assert [each.outcome for each in decisions] == ["refused", "eligible"]
(reason,) = decisions[0].reasons
assert (reason.code, reason.capacity, reason.waitlist_open) == ("course_full", 1, True)
enrolled = enrollment.enroll_student(ben, EnrollBody(course_ids=both, waitlist=True))
assert [(each.outcome, each.position) for each in enrolled.results or []] == [("waitlisted", 1), ("enrolled", None)]
held = enrollment.list_student_courses(ben, status="any")
assert [(each.code, each.status, each.position) for each in held.courses] == [
    ("CS225", "waitlisted", 1),
    ("MA101", "enrolled", None),
]

# Unenroll with ids in the query and in the body; the seat goes to the student on the waitlist.
left = enrollment.unenroll_student(ada, course_id=both)
assert [each.outcome for each in left.results] == ["unenrolled", "not_enrolled"]
roster = courses.get_roster(small.id)
assert [(each.student_id, each.name) for each in roster.items] == [(ben, "Ben")]
before = courses.get_roster(small.id, as_of=roster.items[0].status_since - timedelta(hours=1))
assert before.items == []
history = students.get_student_history(ben)
assert history.items[0].at >= history.items[-1].at
assert [(each.var_from, each.to) for each in history.items if each.course_id == small.id] == [
    ("waitlisted", "enrolled"),
    (None, "waitlisted"),
]
plan = enrollment.replace_enrollments(ben, ReplaceBody(course_ids=[large.id]), dry_run=True)
assert (plan.unenrolled, plan.kept) == ([small.id], [large.id])
body = enrollment.unenroll_student(ben, unenroll_body=UnenrollBody(course_ids=both))
assert {each.outcome for each in body.results} == {"unenrolled"}

# ETags. A change of the title changes nothing else; null removes the limit.
etag = (courses.get_course_with_http_info(small.id).headers or {})["etag"]
assert failure(lambda: courses.get_course(small.id, if_none_match=etag)).status == 304
changed = courses.change_course(small.id, CourseChange(title="Algorithms"), if_match=etag)
assert (changed.title, changed.capacity, changed.waitlist_capacity) == ("Algorithms", 1, 10)
stale = refusal(lambda: courses.change_course(small.id, CourseChange(title="Lost"), if_match=etag))
assert stale.code == "precondition_failed"
unlimited = courses.change_course(small.id, CourseChange(capacity=None))
assert (unlimited.capacity, unlimited.waitlist_capacity) == (None, 10)

# Pages.
page = courses.list_courses(limit=1)
codes = [each.code for each in page.items]
while page.next:
    page = courses.list_courses(limit=1, after=page.next)
    codes += [each.code for each in page.items]
assert codes == ["CS225", "MA101"]
assert students.delete_student_with_http_info(ada).status_code == 204
