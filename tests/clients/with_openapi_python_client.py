"""The usual calls with a client of openapi-python-client. Arguments: the address of a service and an API key."""

from __future__ import annotations

import sys
from datetime import timedelta
from http import HTTPStatus

from course_enrollment_client import AuthenticatedClient
from course_enrollment_client.api.courses import change_course, create_course, get_course, get_roster, list_courses
from course_enrollment_client.api.enrollment import (
    enroll_student,
    list_student_courses,
    replace_enrollments,
    unenroll_student,
)
from course_enrollment_client.api.students import create_student, delete_student, get_student_history
from course_enrollment_client.models import (
    ChangedCourse,
    Course,
    CourseChange,
    Courses,
    EnrollBody,
    EnrollResponse,
    ListStudentCoursesStatus,
    NewCourse,
    NewStudent,
    ProblemDetails,
    ReplaceBody,
    ReplaceResponse,
    Roster,
    Student,
    StudentCoursesResponse,
    StudentHistory,
    UnenrollBody,
    UnenrollResponse,
)
from course_enrollment_client.types import Unset

_, url, key = sys.argv
client = AuthenticatedClient(base_url=url, token=key, raise_on_unexpected_status=True)

# Students and courses, with and without values that have a default.
students = [
    create_student.sync(client=client, body=NewStudent(name=name, email=f"{name.lower()}@example.edu"))
    for name in ("Ada", "Ben")
]
ada, ben = (each.id for each in students if isinstance(each, Student))
small, large = (
    create_course.sync(client=client, body=body)
    for body in (
        NewCourse(code="CS225", title="Data Structures", capacity=1, waitlist_capacity=10),
        NewCourse(code="MA101", title="Calculus"),
    )
)
assert isinstance(small, Course)
assert isinstance(large, Course)
assert (small.seats_available, large.capacity, large.waitlist_capacity) == (1, None, 0)
later = Course.from_dict(small.to_dict() | {"later": 1})  # a later release may add fields
assert later.additional_properties == {"later": 1}
invalid = create_student.sync(client=client, body=NewStudent(name="Cy", email="nonsense"))
assert isinstance(invalid, ProblemDetails)
assert not isinstance(invalid.errors, Unset)
assert [each.pointer for each in invalid.errors] == ["/email"]

# Enroll: a refusal with its reasons, then the waitlist.
first = enroll_student.sync_detailed(ada, client=client, body=EnrollBody(course_id=small.id))
assert first.status_code == HTTPStatus.CREATED
both = [small.id, large.id]
refused = enroll_student.sync(ben, client=client, body=EnrollBody(course_ids=both))
assert isinstance(refused, ProblemDetails)
assert not isinstance(refused.decisions, Unset)
assert (refused.status, refused.code) == (409, "enrollment_refused")
assert [each.outcome for each in refused.decisions] == ["refused", "eligible"]
(reason,) = refused.decisions[0].reasons
assert (reason.code, reason.capacity, reason.waitlist_open) == ("course_full", 1, True)
enrolled = enroll_student.sync(ben, client=client, body=EnrollBody(course_ids=both, waitlist=True))
assert isinstance(enrolled, EnrollResponse)
assert [(each.outcome, each.position or None) for each in enrolled.results or []] == [
    ("waitlisted", 1),
    ("enrolled", None),
]
held = list_student_courses.sync(ben, client=client, status=ListStudentCoursesStatus.ANY)
assert isinstance(held, StudentCoursesResponse)
assert [(each.code, each.status, each.position) for each in held.courses] == [
    ("CS225", "waitlisted", 1),
    ("MA101", "enrolled", None),
]

# Unenroll with ids in the query and in the body; the seat goes to the student on the waitlist.
left = unenroll_student.sync(ada, client=client, course_id=both)
assert isinstance(left, UnenrollResponse)
assert [each.outcome for each in left.results] == ["unenrolled", "not_enrolled"]
roster = get_roster.sync(small.id, client=client)
assert isinstance(roster, Roster)
assert [(each.student_id, each.name) for each in roster.items] == [(ben, "Ben")]
before = get_roster.sync(small.id, client=client, as_of=roster.items[0].status_since - timedelta(hours=1))
assert isinstance(before, Roster)
assert before.items == []
history = get_student_history.sync(ben, client=client)
assert isinstance(history, StudentHistory)
assert history.items[0].at >= history.items[-1].at
assert [(each.from_, each.to) for each in history.items if each.course_id == small.id] == [
    ("waitlisted", "enrolled"),
    (None, "waitlisted"),
]
plan = replace_enrollments.sync(ben, client=client, body=ReplaceBody(course_ids=[large.id]), dry_run=True)
assert isinstance(plan, ReplaceResponse)
assert (plan.unenrolled, plan.kept) == ([small.id], [large.id])
body = unenroll_student.sync(ben, client=client, body=UnenrollBody(course_ids=both))
assert isinstance(body, UnenrollResponse)
assert {each.outcome for each in body.results} == {"unenrolled"}

# ETags. A change of the title changes nothing else; null removes the limit.
found = get_course.sync_detailed(small.id, client=client)
etag = found.headers["ETag"]
assert get_course.sync_detailed(small.id, client=client, if_none_match=etag).status_code == HTTPStatus.NOT_MODIFIED
changed = change_course.sync(small.id, client=client, body=CourseChange(title="Algorithms"), if_match=etag)
assert isinstance(changed, ChangedCourse)
assert (changed.title, changed.capacity, changed.waitlist_capacity) == ("Algorithms", 1, 10)
stale = change_course.sync(small.id, client=client, body=CourseChange(title="Lost"), if_match=etag)
assert isinstance(stale, ProblemDetails)
assert stale.code == "precondition_failed"
unlimited = change_course.sync(small.id, client=client, body=CourseChange(capacity=None))
assert isinstance(unlimited, ChangedCourse)
assert (unlimited.capacity, unlimited.waitlist_capacity) == (None, 10)

# Pages.
codes: list[str] = []
page = list_courses.sync(client=client, limit=1)
while isinstance(page, Courses):
    codes += [each.code for each in page.items]
    page = list_courses.sync(client=client, limit=1, after=page.next_) if page.next_ else None
assert codes == ["CS225", "MA101"]
assert delete_student.sync_detailed(ada, client=client).status_code == HTTPStatus.NO_CONTENT
