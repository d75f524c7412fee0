"""What ties courses of a term together: their meetings, and links such as of a lecture with its labs."""

from __future__ import annotations

from datetime import date
from typing import cast

from sqlalchemy import CheckConstraint, Date, ForeignKey, Identity, Index, SmallInteger, String, Table
from sqlalchemy.orm import Mapped, mapped_column

from ..database import Base
from ..database.types import Id, TimeOfDay, in_range


class CourseMeeting(Base):
    """A weekly meeting of a course, from the first to the last day, both included.

    Times are those of the clock on the wall: no time zone, and no meeting goes past midnight. `weekday` is 1 for Monday
    to 7 for Sunday.
    """

    __tablename__ = "course_meetings"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    course_id: Mapped[int] = mapped_column(Id, ForeignKey("courses.id", ondelete="CASCADE"))
    weekday: Mapped[int] = mapped_column(SmallInteger)
    starts_minute: Mapped[str] = mapped_column(TimeOfDay)
    ends_minute: Mapped[str] = mapped_column(TimeOfDay)
    starts_on: Mapped[date] = mapped_column(Date)
    ends_on: Mapped[date] = mapped_column(Date)
    place: Mapped[str | None] = mapped_column(String(200))

    __table_args__ = (
        CheckConstraint("weekday BETWEEN 1 AND 7", name="weekday_known"),
        CheckConstraint(
            "starts_minute >= 0 AND starts_minute < ends_minute AND ends_minute <= 1440", name="minutes_in_order"
        ),
        CheckConstraint("starts_on <= ends_on", name="dates_in_order"),
        *map(in_range, ("id", "course_id")),
        Index("ix_course_meetings_course_id", "course_id"),
        {"sqlite_autoincrement": True},
    )


class CourseLink(Base):
    """A student of the course must take another one with it: of each group, one of the linked courses."""

    __tablename__ = "course_links"

    course_id: Mapped[int] = mapped_column(
        Id, ForeignKey("courses.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    group_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    linked_id: Mapped[int] = mapped_column(Id, ForeignKey("courses.id"), primary_key=True, autoincrement=False)

    __table_args__ = (
        CheckConstraint("linked_id <> course_id", name="not_itself"),
        *map(in_range, ("course_id", "linked_id")),
        Index("ix_course_links_linked_id", "linked_id"),
        {"sqlite_with_rowid": False},
    )


course_meetings = cast("Table", CourseMeeting.__table__)
course_links = cast("Table", CourseLink.__table__)
