"""People: staff, their roles, whom they advise, and the accounts with which people and students sign in."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, String, Table, UniqueConstraint
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..database import Base
from ..database.types import NOW, ExternalId, Id, UtcDateTime, in_range, utcnow, when_created
from .owned_lists import owned_list
from .search import Searchable, search_column

ADVISOR, REGISTRAR = "advisor", "registrar"
ROLES = (ADVISOR, REGISTRAR)


class Person(Searchable, Base):
    """A person who works here. One who is a student as well has the `student_id`.

    Actors in the ledger name `id` (`advisor:2`), so it is never given to another person. What a person may do, its
    roles and its relations to students and courses say together: `roles` are words, `advises` are ids of students.
    """

    __tablename__ = "people"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    given_name: Mapped[str | None] = mapped_column(String(200))
    family_name: Mapped[str | None] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(254))
    external_id: Mapped[str | None] = mapped_column(ExternalId)
    student_id: Mapped[int | None] = mapped_column(Id, ForeignKey("students.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=when_created, onupdate=utcnow, server_default=NOW)

    searched = ("name", "email")
    search_text: Mapped[str | None] = search_column(*searched)

    person_roles: Mapped[set[PersonRole]] = owned_list()
    roles: AssociationProxy[set[str]] = association_proxy(
        "person_roles", "role", creator=lambda role: PersonRole(role=role)
    )
    advisees: Mapped[set[Advisee]] = owned_list()
    advises: AssociationProxy[set[int]] = association_proxy(
        "advisees", "student_id", creator=lambda student_id: Advisee(student_id=student_id)
    )
    accounts: Mapped[list[Account]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="Account.id"
    )

    __table_args__ = (
        UniqueConstraint("external_id"),
        UniqueConstraint("student_id"),
        *map(in_range, ("id", "student_id")),
        {"sqlite_autoincrement": True},
    )


class PersonRole(Base):
    """A role of a person: what the person may do for every student and course."""

    __tablename__ = "person_roles"

    person_id: Mapped[int] = mapped_column(
        Id, ForeignKey("people.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    role: Mapped[str] = mapped_column(String(20), primary_key=True)

    __table_args__ = (
        CheckConstraint("role IN ('advisor', 'registrar')", name="role_known"),
        in_range("person_id"),
        {"sqlite_with_rowid": False},
    )


class Account(Base):
    """A `subject` of the issuer of tokens, linked to one person or to one student."""

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(Id, Identity(), primary_key=True)
    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    person_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id", ondelete="CASCADE"))
    student_id: Mapped[int | None] = mapped_column(Id, ForeignKey("students.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, server_default=NOW)

    __table_args__ = (
        UniqueConstraint("issuer", "subject"),
        CheckConstraint("(person_id IS NULL) <> (student_id IS NULL)", name="person_or_student"),
        *map(in_range, ("id", "person_id", "student_id")),
        Index("ix_accounts_person_id", "person_id"),
        Index("ix_accounts_student_id", "student_id"),
        {"sqlite_autoincrement": True},
    )


class Advisee(Base):
    """A student whom a person advises."""

    __tablename__ = "advisees"

    person_id: Mapped[int] = mapped_column(
        Id, ForeignKey("people.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    student_id: Mapped[int] = mapped_column(
        Id, ForeignKey("students.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )

    __table_args__ = (
        *map(in_range, ("person_id", "student_id")),
        Index("ix_advisees_student_id", "student_id"),
        {"sqlite_with_rowid": False},
    )


class CourseInstructor(Base):
    """A course that a person teaches."""

    __tablename__ = "course_instructors"

    course_id: Mapped[int] = mapped_column(
        Id, ForeignKey("courses.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    person_id: Mapped[int] = mapped_column(
        Id, ForeignKey("people.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )

    __table_args__ = (
        *map(in_range, ("course_id", "person_id")),
        Index("ix_course_instructors_person_id", "person_id"),
        {"sqlite_with_rowid": False},
    )


people = cast("Table", Person.__table__)
person_roles = cast("Table", PersonRole.__table__)
accounts = cast("Table", Account.__table__)
advisees = cast("Table", Advisee.__table__)
course_instructors = cast("Table", CourseInstructor.__table__)
