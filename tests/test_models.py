"""The story of the three models through the ORM: students, courses, and the enrollments between them.

An enrollment is a row of `StudentCourses`. The database itself keeps the rules: uniqueness, counters, ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from course_management.database import broken_constraint, reading, writing
from course_management.models import (
    ENROLLED,
    UNENROLLED,
    WAITLISTED,
    Course,
    EnrollmentEvent,
    Student,
    StudentCourses,
    students,
)
from course_management.models.search import contains_words


@pytest.fixture(autouse=True)
def context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


@pytest.fixture
def school() -> tuple[int, int]:
    """Ada, and a course with one seat and a waitlist; their ids."""
    with writing() as session:
        ada = Student(name="Ada Lovelace", email="ada@example.edu")
        programming = Course(code="CS101", title="Programming", capacity=1, waitlist_capacity=5)
        session.add_all([ada, programming])
    return ada.id, programming.id


def enroll(session: Session, student_id: int, course_id: int, **values: Any) -> StudentCourses:
    enrollment = StudentCourses(student_id=student_id, course_id=course_id, **{"status": ENROLLED, **values})
    session.add(enrollment)
    session.flush()
    return enrollment


def refused(**values: Any) -> str:
    """Return the constraint that refuses an enrollment."""
    with pytest.raises(IntegrityError) as refusal, writing() as session:
        session.add(StudentCourses(**values))
    return broken_constraint(refusal.value)


# --- from a student to its courses, and from a course to its students ---------------------------------------


def test_a_student_is_enrolled_by_adding_a_row_of_student_courses(school: tuple[int, int]) -> None:
    with writing() as session:
        ada, programming = session.get_one(Student, school[0]), session.get_one(Course, school[1])
        ada.enrollments.append(StudentCourses(course=programming, status=ENROLLED))

    with reading() as session:
        found = session.get_one(StudentCourses, school)
        assert (found.student.name, found.course.code, found.status) == ("Ada Lovelace", "CS101", "enrolled")
        assert [each.course.title for each in found.student.enrollments] == ["Programming"]
        assert [each.student.email for each in found.course.enrollments] == ["ada@example.edu"]


def test_the_courses_of_a_student_are_loaded_in_one_query_more(school: tuple[int, int], statements: list[str]) -> None:
    with writing() as session:
        enroll(session, *school)
    statements.clear()

    with reading() as session:
        eager = selectinload(Student.enrollments).joinedload(StudentCourses.course)
        (ada,) = session.scalars(select(Student).options(eager))

    assert [each.course.code for each in ada.enrollments] == ["CS101"]  # also after the session
    assert len(statements) == 2


def test_students_of_a_course_are_found_by_a_join(school: tuple[int, int]) -> None:
    with writing() as session:
        enroll(session, *school)
        session.add(Student(name="Alan Turing", email="alan@example.edu"))

    of_course = select(Student.name).join(Student.enrollments).join(StudentCourses.course).where(Course.code == "CS101")
    with reading() as session:
        assert session.scalars(of_course).all() == ["Ada Lovelace"]


# --- what an enrollment is ----------------------------------------------------------------------------------


def test_an_enrollment_keeps_its_row_when_the_student_returns(school: tuple[int, int]) -> None:
    student_id, course_id = school
    with writing() as session:
        enroll(session, *school).status = UNENROLLED

    assert refused(student_id=student_id, course_id=course_id, status=ENROLLED) in {
        "pk_student_courses",
        "uq_student_courses_student_id_course_id",  # SQLite names the columns of a key, and not the key
    }
    with writing() as session:
        session.get_one(StudentCourses, school).status = ENROLLED  # a student who returns gets it back


def test_a_row_needs_only_the_pair_and_the_status(school: tuple[int, int]) -> None:
    with writing() as session:
        row = enroll(session, *school)
        assert (row.revision, row.actor, row.request_id, row.queue_number) == (1, "database", None, None)
        assert row.status_since.tzinfo is not None


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"status": "admitted"}, "ck_student_courses_status_known"),
        ({"status": WAITLISTED}, "ck_student_courses_queue_number_iff_waiting"),
        ({"status": ENROLLED, "queue_number": 1}, "ck_student_courses_queue_number_iff_waiting"),
    ],
)
def test_the_database_refuses_what_is_no_enrollment(
    school: tuple[int, int], values: dict[str, Any], constraint: str
) -> None:
    assert refused(student_id=school[0], course_id=school[1], **values) == constraint


def test_an_enrollment_needs_an_existing_course(school: tuple[int, int]) -> None:
    with pytest.raises(IntegrityError), writing() as session:
        enroll(session, school[0], 4711)


@pytest.mark.parametrize(
    ("values", "is_held"),
    [({"status": ENROLLED}, True), ({"status": WAITLISTED, "queue_number": 1}, True), ({"status": UNENROLLED}, False)],
)
def test_held_is_enrolled_or_waitlisted_on_an_object_and_in_a_query(
    school: tuple[int, int], values: dict[str, Any], is_held: bool
) -> None:
    with writing() as session:
        row = enroll(session, *school, **values)

    assert row.is_held is is_held
    with reading() as session:
        assert bool(session.scalars(select(StudentCourses).where(StudentCourses.is_held)).all()) is is_held


# --- what the database does for every writer ----------------------------------------------------------------


def test_seats_are_counted_and_the_ledger_is_written_by_the_database(school: tuple[int, int]) -> None:
    with writing() as session:
        row = enroll(session, *school)
    with writing() as session:
        session.get_one(StudentCourses, school).status = UNENROLLED
    with writing() as session:
        session.get_one(StudentCourses, school).status = ENROLLED

    with reading() as session:
        assert session.get_one(Course, row.course_id).seats_taken == 1
        lines = session.scalars(select(EnrollmentEvent).order_by(EnrollmentEvent.id)).all()
    assert [(line.from_status, line.to_status) for line in lines] == [
        (None, "enrolled"),
        ("enrolled", "unenrolled"),
        ("unenrolled", "enrolled"),
    ]


def test_a_full_course_enrolls_no_one(school: tuple[int, int]) -> None:
    with writing() as session:
        enroll(session, *school)
        alan = Student(name="Alan Turing", email="alan@example.edu")
        session.add(alan)

    assert refused(student_id=alan.id, course_id=school[1], status=ENROLLED) == "ck_courses_seats_within_capacity"


@pytest.mark.parametrize("model", [Student, Course])
def test_a_student_or_a_course_with_a_held_row_is_not_deleted(
    school: tuple[int, int], model: type[Student | Course]
) -> None:
    number = school[model is Course]
    with writing() as session:
        enroll(session, *school)

    with pytest.raises(IntegrityError) as refusal, writing() as session:
        session.delete(session.get_one(model, number))
    assert broken_constraint(refusal.value) == "student_courses_held_rows_stay"

    with writing() as session:
        session.get_one(StudentCourses, school).status = UNENROLLED
    with writing() as session:
        session.delete(session.get_one(model, number))
    with reading() as session:
        assert session.scalars(select(StudentCourses)).all() == []  # deleted along, by the database
        assert len(session.scalars(select(EnrollmentEvent)).all()) == 2  # the ledger stays


# --- students and courses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("twin", "constraint"),
    [
        (lambda: Student(name="Another", email="ada@example.edu"), "uq_students_email"),
        (lambda: Student(name="Another", external_id="sis-1"), "uq_students_external_id"),
        (lambda: Course(code="CS101", title="Another"), "uq_courses_code"),
        (lambda: Course(code="CS102", title="Another", external_id="sis-1"), "uq_courses_external_id"),
    ],
)
def test_addresses_codes_and_external_ids_are_unique(school: tuple[int, int], twin: Any, constraint: str) -> None:
    with writing() as session:
        session.get_one(Student, school[0]).external_id = "sis-1"
        session.get_one(Course, school[1]).external_id = "sis-1"

    with pytest.raises(IntegrityError) as refusal, writing() as session:
        session.add(twin())

    assert broken_constraint(refusal.value) == constraint


def test_any_number_of_students_have_no_address_and_no_external_id() -> None:
    with writing() as session:
        session.add_all([Student(name="Ada Lovelace"), Student(name="Alan Turing")])

    with reading() as session:
        assert [each.email for each in session.scalars(select(Student))] == [None, None]


def test_a_change_raises_updated_at_and_a_counter_does_not(school: tuple[int, int]) -> None:
    def updated_at() -> datetime:
        with reading() as session:
            return session.get_one(Course, school[1]).updated_at

    made = updated_at()
    with writing() as session:
        enroll(session, *school)
    assert updated_at() == made

    with writing() as session:
        session.get_one(Course, school[1]).title = "Programming I"
    assert updated_at() > made


def test_words_are_found_whatever_their_case_width_and_order() -> None:
    with writing() as session:
        session.add(Course(code="MA101", title="Größen, Maße & ﬁnite ΣΧΗΜΑ"))
        session.add(Course(code="CS_1%", title="Programming"))

    def found(words: str) -> list[str]:
        with reading() as session:
            return list(session.scalars(select(Course.code).where(contains_words(Course.search_text, words))))

    assert found("GRÖSSEN ma101") == ["MA101"]
    assert found("finite σχημα") == ["MA101"]
    assert found("\uff2d\uff21\uff11") == ["MA101"]  # full-width letters
    assert found("größen programming") == []
    assert found("_1%") == ["CS_1%"]  # no wildcards
    assert len(found(" ")) == 2


def test_search_follows_every_change_of_an_object_and_every_insert_statement(school: tuple[int, int]) -> None:
    with writing() as session:
        session.get_one(Course, school[1]).title = "ALGORITHMS"
        session.execute(insert(students), [{"name": "GRACE"}, {"name": "Emmy"}])
        session.execute(insert(Student), [{"name": "MAX", "email": "max@example.edu"}])

    with reading() as session:
        assert session.scalars(select(Course.search_text)).all() == ["cs101 algorithms"]
        texts = session.scalars(select(Student.search_text).order_by(Student.id)).all()
    assert texts == ["ada lovelace ada@example.edu", "grace", "emmy", "max max@example.edu"]
