"""The enrollment calls as the tutorials of FastAPI write them: async SQLAlchemy on asyncpg, served by uvicorn."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Path, Response
from pydantic import BaseModel, Field
from sqlalchemy import ForeignKey, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["ASYNCPG_URL"], pool_size=int(os.environ["POOL"]), max_overflow=0)
Session = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Student(Base):
    __tablename__ = "students"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Course(Base):
    __tablename__ = "courses"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str]
    title: Mapped[str]
    capacity: Mapped[int]


class Enrollment(Base):
    __tablename__ = "enrollments"
    student_id: Mapped[int] = mapped_column(ForeignKey("students.id"), primary_key=True)
    course_id: Mapped[int] = mapped_column(ForeignKey("courses.id"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Courses(BaseModel):
    course_ids: list[Annotated[int, Field(ge=1)]] = Field(min_length=1, max_length=100)


class Result(BaseModel):
    course_id: int
    outcome: str


class Results(BaseModel):
    student_id: int
    results: list[Result]


class HeldCourse(BaseModel):
    id: int
    code: str
    title: str
    status: str
    status_since: datetime


class HeldCourses(BaseModel):
    student_id: int
    courses: list[HeldCourse]


async def get_session() -> AsyncIterator[AsyncSession]:
    async with Session() as session:
        yield session


SessionOfRequest = Annotated[AsyncSession, Depends(get_session)]
StudentId = Annotated[int, Path(ge=1)]


async def find_student(session: AsyncSession, student_id: int) -> None:
    if await session.get(Student, student_id) is None:
        raise HTTPException(404, "student not found")


async def find_courses(session: AsyncSession, course_ids: list[int], *, lock: bool) -> list[Course]:
    query = select(Course).where(Course.id.in_(course_ids)).order_by(Course.id)
    courses = list(await session.scalars(query.with_for_update() if lock else query))
    if len(courses) != len(set(course_ids)):
        raise HTTPException(404, "course not found")
    return courses


@app.post("/students/{student_id}/enroll", status_code=201)
async def enroll(student_id: StudentId, body: Courses, session: SessionOfRequest, response: Response) -> Results:
    await find_student(session, student_id)
    courses = await find_courses(session, body.course_ids, lock=True)
    query = select(Enrollment.course_id).where(
        Enrollment.student_id == student_id, Enrollment.course_id.in_(body.course_ids)
    )
    held = set(await session.scalars(query))
    for course in courses:
        if course.id in held:
            continue
        taken = await session.scalar(
            select(func.count()).select_from(Enrollment).where(Enrollment.course_id == course.id)
        )
        if taken >= course.capacity:
            raise HTTPException(409, "course full")
        session.add(Enrollment(student_id=student_id, course_id=course.id))
    await session.commit()
    if len(held) == len(courses):
        response.status_code = 200
    outcomes = [
        Result(course_id=each, outcome="already_enrolled" if each in held else "enrolled") for each in body.course_ids
    ]
    return Results(student_id=student_id, results=outcomes)


@app.delete("/students/{student_id}/unenroll")
async def unenroll(student_id: StudentId, body: Courses, session: SessionOfRequest) -> Results:
    await find_student(session, student_id)
    await find_courses(session, body.course_ids, lock=False)
    left = set(
        await session.scalars(
            delete(Enrollment)
            .where(Enrollment.student_id == student_id, Enrollment.course_id.in_(body.course_ids))
            .returning(Enrollment.course_id)
        )
    )
    await session.commit()
    outcomes = [
        Result(course_id=each, outcome="unenrolled" if each in left else "not_enrolled") for each in body.course_ids
    ]
    return Results(student_id=student_id, results=outcomes)


@app.get("/students/{student_id}/courses")
async def list_courses(student_id: StudentId, session: SessionOfRequest) -> HeldCourses:
    await find_student(session, student_id)
    query = (
        select(Course, Enrollment.created_at)
        .join(Enrollment, Enrollment.course_id == Course.id)
        .where(Enrollment.student_id == student_id)
        .order_by(Course.code)
    )
    held = [
        HeldCourse(id=course.id, code=course.code, title=course.title, status="enrolled", status_since=since)
        for course, since in await session.execute(query)
    ]
    return HeldCourses(student_id=student_id, courses=held)
