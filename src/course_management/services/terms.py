"""Terms with their registration windows, and groups, as resources."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..errors import CodeTaken, ExternalIdTaken, GroupInUse, GroupNotFound, TermHasCourses, TermNotFound
from ..models import Group, Term, courses, registration_windows
from .owned_lists import OwnedList
from .passed_over_marks import reconsider_courses
from .resources import Resource


def _check(term: Term) -> Iterator[tuple[str, str]]:
    if term.ends_on < term.starts_on:
        yield "ends_on", "Must not be before starts_on."
    if term.drop_until and term.withdraw_until and term.withdraw_until < term.drop_until:
        yield "withdraw_until", "Must not be before drop_until."


def _reconsider_waiting(session: Session, term: Term) -> None:
    of_term = select(courses.c.id).where(courses.c.term_id == term.id, courses.c.waiting > 0)
    reconsider_courses(session, session.scalars(of_term).all())


TERM_RESOURCE = Resource(
    model=Term,
    not_found=TermNotFound,
    refusal_if_taken={"code": CodeTaken, "external_id": ExternalIdTaken},
    in_use={"fk_courses_term_id": TermHasCourses},
    find_errors=_check,
    after_change=_reconsider_waiting,
)
WINDOW_LIST = OwnedList(
    owner=TERM_RESOURCE,
    table=registration_windows,
    column="term_id",
    names=("opens_at", "closes_at", "group_id"),
)
GROUP_RESOURCE = Resource(
    model=Group,
    not_found=GroupNotFound,
    refusal_if_taken={"code": CodeTaken},
    unique_within={"code": "kind"},
    in_use={
        f"fk_{table}_group_id": GroupInUse
        for table in ("student_groups", "registration_windows", "course_restrictions")
    }
    | {"fk_prerequisites_required_group_id": GroupInUse},
)
