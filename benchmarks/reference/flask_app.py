"""The enrollment calls as the tutorials of Flask write them: Flask-SQLAlchemy's ORM on psycopg, gunicorn's threads."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from flask import Flask, abort, jsonify, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey, delete, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.exceptions import HTTPException

MAX_COURSES = 100


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)
app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["PSYCOPG_URL"]
app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": int(os.environ["POOL"]), "max_overflow": 0}
db.init_app(app)


class Student(db.Model):
    __tablename__ = "students"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Course(db.Model):
    __tablename__ = "courses"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str]
    title: Mapped[str]
    capacity: Mapped[int]


class Enrollment(db.Model):
    __tablename__ = "enrollments"
    student_id: Mapped[int] = mapped_column(ForeignKey("students.id"), primary_key=True)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


@app.errorhandler(HTTPException)
def refused(error: HTTPException) -> Any:
    return jsonify(detail=error.description), error.code


def asked_courses() -> list[int]:
    body = request.get_json()
    course_ids = body.get("course_ids") if isinstance(body, dict) else None
    if (
        not isinstance(course_ids, list)
        or not 1 <= len(course_ids) <= MAX_COURSES
        or not all(type(each) is int and each >= 1 for each in course_ids)
    ):
        abort(422, "course_ids must be a list of 1 to 100 ids")
    return course_ids


def find_student(student_id: int) -> None:
    if db.session.get(Student, student_id) is None:
        abort(404, "student not found")


def find_courses(course_ids: list[int], *, lock: bool) -> list[Course]:
    query = select(Course).where(Course.id.in_(course_ids)).order_by(Course.id)
    courses = list(db.session.scalars(query.with_for_update() if lock else query))
    if len(courses) != len(set(course_ids)):
        abort(404, "course not found")
    return courses


@app.post("/students/<int:student_id>/enroll")
def enroll(student_id: int) -> Any:
    course_ids = asked_courses()
    find_student(student_id)
    courses = find_courses(course_ids, lock=True)
    held = set(
        db.session.scalars(
            select(Enrollment.course_id).where(
                Enrollment.student_id == student_id, Enrollment.course_id.in_(course_ids)
            )
        )
    )
    for course in courses:
        if course.id in held:
            continue
        taken = db.session.scalar(select(func.count()).select_from(Enrollment).where(Enrollment.course_id == course.id))
        if taken >= course.capacity:
            abort(409, "course full")
        db.session.add(Enrollment(student_id=student_id, course_id=course.id))
    changed = len(held) < len(courses)
    db.session.commit()
    results = [
        {"course_id": each, "outcome": "already_enrolled" if each in held else "enrolled"} for each in course_ids
    ]
    return jsonify(student_id=student_id, results=results), 201 if changed else 200


@app.delete("/students/<int:student_id>/unenroll")
def unenroll(student_id: int) -> Any:
    course_ids = asked_courses()
    find_student(student_id)
    find_courses(course_ids, lock=False)
    left = set(
        db.session.scalars(
            delete(Enrollment)
            .where(Enrollment.student_id == student_id, Enrollment.course_id.in_(course_ids))
            .returning(Enrollment.course_id)
        )
    )
    db.session.commit()
    results = [{"course_id": each, "outcome": "unenrolled" if each in left else "not_enrolled"} for each in course_ids]
    return jsonify(student_id=student_id, results=results)


@app.get("/students/<int:student_id>/courses")
def list_courses(student_id: int) -> Any:
    find_student(student_id)
    query = (
        select(Course, Enrollment.created_at)
        .join(Enrollment, Enrollment.course_id == Course.id)
        .where(Enrollment.student_id == student_id)
        .order_by(Course.code)
    )
    courses = [
        {
            "id": course.id,
            "code": course.code,
            "title": course.title,
            "status": "enrolled",
            "status_since": since.isoformat(),
        }
        for course, since in db.session.execute(query)
    ]
    return jsonify(student_id=student_id, courses=courses)
