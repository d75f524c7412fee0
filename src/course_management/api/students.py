"""Students: create, list, read, change, delete, and their history."""

from __future__ import annotations

from typing import Any

from flask import Response

from ..database import AnyRow
from ..database.types import MAX_ID
from ..errors import (
    EmailTaken,
    MalformedPrecondition,
    PreconditionFailed,
    StudentHasEnrollments,
    StudentNotFound,
)
from ..repositories import enrollments
from ..repositories import students as questions
from ..schemas import incoming, outgoing
from ..services import students as service
from .blueprint import Blueprint
from .replies import EVENT, after, empty, event_item, if_match, naming_existing, page_reply, reply, student_tag

blp = Blueprint("students", __name__, description="Who takes courses.")

NEW = {"name": "Ada Lovelace", "email": "ada@example.edu"}
LIST = "students.list_students"
EXAMPLE = {"id": 7, **NEW, "created_at": outgoing.MOMENT}


def student_item(student: AnyRow) -> dict[str, Any]:
    """A student as the contract writes it."""
    return {"id": student.id, "name": student.name, "email": student.email, "created_at": student.created_at}


def history_item(event: AnyRow) -> dict[str, Any]:
    """A line of a student's history."""
    return {"course_id": event.course_id, **event_item(event)}


@blp.endpoint("POST", "/students", EmailTaken)
@blp.body(incoming.StudentIn, NEW)
@blp.answer(201, outgoing.Student, EXAMPLE, tagged=True)
def create_student(values: dict[str, Any]) -> Response:
    """Create a student."""
    with naming_existing(LIST, lambda: questions.id_of(values["email"])):
        student = service.create(values)
    return reply(student_item(student), 201, thing=student_tag(student), location=f"/students/{student.id}")


@blp.endpoint("GET", "/students")
@blp.query(incoming.StudentsQuery)
@blp.answer(200, outgoing.Students, {"items": [EXAMPLE], "next": None})
def list_students(query: dict[str, Any]) -> Response:
    """List the students, by id.

    `email` selects the one with this address, however it is written: capitals do not count.
    """
    limit = query["limit"]
    rows = questions.page(after(query), limit + 1, query.get("email"))
    return page_reply(rows, limit, lambda row: row.id, student_item)


@blp.endpoint("GET", "/students/<id:student_id>", StudentNotFound)
@blp.conditional("If-None-Match")
@blp.answer(200, outgoing.Student, EXAMPLE, tagged=True)
@blp.answer(304)
def get_student(student_id: int) -> Response:
    """Read a student."""
    student = questions.one(student_id)
    return reply(student_item(student), thing=student_tag(student))


@blp.endpoint(
    "PATCH",
    "/students/<id:student_id>",
    StudentNotFound,
    EmailTaken,
    PreconditionFailed,
    MalformedPrecondition,
)
@blp.conditional("If-Match")
@blp.body(incoming.StudentChange, {"name": "Ada King"})
@blp.answer(200, outgoing.Student, EXAMPLE | {"name": "Ada King"}, tagged=True)
def change_student(values: dict[str, Any], student_id: int) -> Response:
    """Change a student; what is left out stays."""
    with naming_existing(LIST, lambda: questions.id_of(values["email"])):
        student = service.change(student_id, values, if_match(student_tag))
    return reply(student_item(student), thing=student_tag(student))


@blp.endpoint(
    "DELETE",
    "/students/<id:student_id>",
    StudentNotFound,
    StudentHasEnrollments,
    PreconditionFailed,
    MalformedPrecondition,
)
@blp.conditional("If-Match")
@blp.answer(204)
def delete_student(student_id: int) -> Response:
    """Delete a student who holds no seat and no place in a queue; the history stays."""
    service.remove(student_id, if_match(student_tag))
    return empty()


@blp.endpoint("GET", "/students/<id:student_id>/history", StudentNotFound)
@blp.query(incoming.PageQuery)
@blp.answer(200, outgoing.StudentHistory, {"items": [EVENT | {"course_id": 1}], "next": None})
def get_student_history(query: dict[str, Any], student_id: int) -> Response:
    """Read what happened to a student's enrollments, newest first."""
    limit = query["limit"]
    rows = enrollments.history_of_student(student_id, after(query, MAX_ID), limit + 1)
    return page_reply(rows, limit, lambda row: row.id, history_item)
