"""A small school to try the service on, made through the same services as everything else."""

from __future__ import annotations

from sqlalchemy import func, select

from .database import autocommit
from .models import Course, Student, StudentCourses
from .services import Context, courses, enrollment, students

PEOPLE = ("Ada Lovelace", "Alan Turing", "Grace Hopper", "Edsger Dijkstra", "Barbara Liskov", "Donald Knuth")
COURSES = (
    ("CS101", "Programming", 30, 0),
    ("CS201", "Algorithms", 3, 10),
    ("CS301", "Databases", None, 0),
    ("MA101", "Linear Algebra", 40, None),
    ("PH101", "Mechanics", 2, 2),
)


def is_empty() -> bool:
    """Whether there is neither a student nor a course."""
    return not autocommit(select(Student.id).limit(1)) and not autocommit(select(Course.id).limit(1))


def make() -> str:
    """Make the demo data; a sentence about what was made."""
    context = Context(actor="demo")
    people = [students.create({"name": name, "email": f"{name.split()[0].lower()}@example.edu"}).id for name in PEOPLE]
    offered = [
        courses.create({"code": code, "title": title, "capacity": seats, "waitlist_capacity": places}).id
        for code, title, seats, places in COURSES
    ]
    for number, student_id in enumerate(people[1:]):
        chosen = [offered[(number + step) % len(offered)] for step in range(2)]
        enrollment.enroll(student_id, chosen, waitlist=True, context=context)
    return f"{len(people)} students, {len(offered)} courses, {2 * (len(people) - 1)} enrollments"


def example_call() -> tuple[int, int] | None:
    """The first student, and a course with a free seat that it does not have yet; None when there is no such pair.

    Only the first: over all pairs of a large school, the question would take longer than a term.
    """
    held = select(StudentCourses.course_id).where(StudentCourses.student_id == Student.id)
    first = select(func.min(Student.id)).scalar_subquery()
    found = autocommit(
        select(Student.id, Course.id)
        .join(Course, Course.id.not_in(held))
        .where(Student.id == first, Course.waiting == 0)
        .where(Course.capacity.is_(None) | (Course.seats_taken < Course.capacity))
        .order_by(Course.id)
        .limit(1)
    )
    for student_id, course_id in found:
        return student_id, course_id
    return None
