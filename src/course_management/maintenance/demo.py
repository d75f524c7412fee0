"""Demo data to try the service with: made through the services, and removed again."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, exists, func, or_, select, tuple_, update

from ..config import Settings
from ..context import NamedActor, RequestContext
from ..database import AnyRow, autocommit, retried, transaction
from ..database.types import utcnow
from ..models import (
    UNENROLLED,
    WITHDRAWN,
    Course,
    Student,
    StudentCourses,
    accounts,
    advisees,
    completions,
    course_links,
    courses,
    enrollments,
    events,
    is_held,
    keys,
    students,
)
from ..models import (
    people as people_table,
)
from ..services import courses as course_service
from ..services import enrollment, resources
from ..services import students as student_service

ACTOR = "demo"
"""The actor of the demo's enrollments in the ledger, by which they are recognized later."""
DEMO_NAMES = ("Ada Lovelace", "Alan Turing", "Grace Hopper", "Edsger Dijkstra", "Barbara Liskov", "Donald Knuth")
COLUMNS = ("code", "title", "capacity", "waitlist_capacity")
DEMO_COURSES = (
    ("CS101", "Programming", 30, 0),
    ("CS201", "Algorithms", 3, 10),
    ("CS301", "Databases", None, 0),
    ("MA101", "Linear Algebra", 40, None),
    ("PH101", "Mechanics", 2, 2),
)


def is_empty() -> bool:
    """Return whether there is neither a student nor a course."""
    return not autocommit(select(Student.id).limit(1)) and not autocommit(select(Course.id).limit(1))


def is_new(settings: Settings) -> bool:
    """Return whether this is the default SQLite file and was never used; only then `demo --if-new` makes data."""
    if settings.database_url != Settings.load(environ={}).database_url:
        return False
    return not any(
        autocommit(select(table).limit(1)) for table in (students, courses, events, keys, accounts, people_table)
    )


def make() -> str:
    """Make the demo data and describe it. Raises the errors of the services, such as `EmailTaken`."""
    context = RequestContext(caller=NamedActor(ACTOR))
    people = [
        resources.create(student_service.STUDENT_RESOURCE, {"name": name, "email": _email(name)}, context).id
        for name in DEMO_NAMES
    ]
    offered = [
        resources.create(
            course_service.COURSE_RESOURCE,
            {"code": code, "title": title, "capacity": seats, "waitlist_capacity": places},
            context,
        ).id
        for code, title, seats, places in DEMO_COURSES
    ]
    for index, student_id in enumerate(people[1:]):
        chosen = [offered[(index + step) % len(offered)] for step in range(2)]
        enrollment.enroll(enrollment.EnrollmentRequest(student_id, chosen, waitlist=True, context=context))
    return f"{len(people)} students, {len(offered)} courses, {2 * (len(people) - 1)} enrollments"


def _email(name: str) -> str:
    return f"{name.split(maxsplit=1)[0].lower()}@example.edu"


class InUse(Exception):
    """Other data depends on the demo data. The text is a sentence."""


@retried(repeatable=False)
def remove() -> str | None:
    """Remove what `make` made, in one transaction, and describe it; None if there is nothing to remove.

    The ledger keeps its lines. Demo data are courses and students with unchanged names that `demo` has enrolled
    according to the ledger; what was entered about them goes with them. Raises `InUse`, and changes nothing, if another
    student is or was in one of the courses, one of the students in another course, another course is linked to one of
    the courses, or an account or advisor refers to one of the students.
    """
    with transaction() as connection:
        offered = [row.id for row in _courses(connection)]  # courses are locked before students everywhere
        people = [row.id for row in _students(connection)]
        if not offered and not people:
            return None
        _stop_if_in_use(connection, offered, people)
        held = connection.execute(
            update(enrollments)
            .where(enrollments.c.student_id.in_(people), or_(is_held(enrollments), enrollments.c.status == WITHDRAWN))
            .values(
                status=UNENROLLED,
                previous_status=enrollments.c.status,
                queue_number=None,
                status_since=utcnow(),
                revision=enrollments.c.revision + 1,
                actor=ACTOR,
                request_id=None,
            )
        )
        connection.execute(delete(course_links).where(course_links.c.course_id.in_(offered)))
        connection.execute(delete(completions).where(completions.c.student_id.in_(people)))
        connection.execute(delete(courses).where(courses.c.id.in_(offered)))
        connection.execute(delete(students).where(students.c.id.in_(people)))
        return f"{len(people)} students, {len(offered)} courses, {held.rowcount} enrollments"


def _courses(connection: Connection) -> Sequence[AnyRow]:
    made_by_demo = exists().where(events.c.course_id == courses.c.id, events.c.actor == ACTOR)
    named = tuple_(courses.c.code, courses.c.title).in_([(code, title) for code, title, *_ in DEMO_COURSES])
    return connection.execute(
        select(courses.c.id).where(named, made_by_demo).order_by(courses.c.id).with_for_update()
    ).all()


def _students(connection: Connection) -> Sequence[AnyRow]:
    enrolled = select(events.c.student_id).where(events.c.actor == ACTOR)
    # The first student is in no course, to be enrolled by the reader, and was created just before the others.
    first = select(func.min(events.c.student_id) - 1).where(events.c.actor == ACTOR).scalar_subquery()
    made_by_demo = or_(students.c.id.in_(enrolled), and_(students.c.id == first, students.c.name == DEMO_NAMES[0]))
    named = tuple_(students.c.name, students.c.email).in_([(name, _email(name)) for name in DEMO_NAMES])
    return connection.execute(
        select(students.c.id).where(named, made_by_demo).order_by(students.c.id).with_for_update()
    ).all()


def _stop_if_in_use(connection: Connection, offered: Sequence[int], people: Sequence[int]) -> None:
    demo_course, demo_student = enrollments.c.course_id.in_(offered), enrollments.c.student_id.in_(people)
    for row in connection.execute(select(enrollments).where(demo_course != demo_student).limit(1)):
        raise InUse(
            f"Student {row.student_id} is or was in course {row.course_id}, and only one of the two is demo data. "
            "Delete one of them first. Nothing was removed."
        )
    linked = course_links.c.linked_id.in_(offered), course_links.c.course_id.not_in(offered)
    for row in connection.execute(select(course_links).where(*linked).limit(1)):
        raise InUse(
            f"Course {row.course_id} is linked to course {row.linked_id} of the demo data; take that link away first. "
            "Nothing was removed."
        )
    for table in (accounts, advisees, people_table):
        for row in connection.execute(select(table.c.student_id).where(table.c.student_id.in_(people)).limit(1)):
            raise InUse(
                f"Student {row.student_id} of the demo data is named by `course-management people list`; remove that "
                "person first. Nothing was removed."
            )


def example_call() -> tuple[int, int] | None:
    """Find a course with a free seat in which the first student is not yet; None if there is none.

    Only for the first student: a search over all pairs of a large school would take too long.
    """
    held = select(StudentCourses.course_id).where(StudentCourses.student_id == Student.id)
    first = select(func.min(Student.id)).scalar_subquery()
    enrolled = autocommit(
        select(Student.id, Course.id)
        .join(Course, Course.id.not_in(held))
        .where(Student.id == first, Course.waiting == 0)
        .where(Course.capacity.is_(None) | (Course.seats_taken < Course.capacity))
        .order_by(Course.id)
        .limit(1)
    )
    for student_id, course_id in enrolled:
        return student_id, course_id
    return None
