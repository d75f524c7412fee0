"""Small schools as rows of tables, and requests to them, drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Connection, Table, insert

from course_management.database import Base

from .registrar import WAIVABLE

PAST, FUTURE = datetime(2001, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
OVER, LATER = datetime(2001, 2, 1, tzinfo=UTC), datetime(2999, 6, 1, tzinfo=UTC)
STUDENTS, COURSES, ENTRIES = 4, 8, 4
# Two terms of the future that overlap, and one that has ended.
TERMS = [
    (date(2950, 1, 5), date(2950, 5, 28)),
    (date(2950, 3, 2), date(2950, 8, 27)),
    (date(2001, 1, 8), date(2001, 5, 25)),
]
GROUPS = [("level", "first"), ("level", "second"), ("campus", "north")]
TABLES = [
    "students",
    "terms",
    "groups",
    "student_groups",
    "registration_windows",
    "student_terms",
    "catalog_entries",
    "prerequisites",
    "completions",
    "courses",
    "course_meetings",
    "course_links",
    "course_restrictions",
    "holds",
    "permissions",
    "student_courses",
]
"""In the order in which their rows can be inserted."""


@dataclass
class School:
    """The rows of each table. Ids begin after `first`, so that several schools fit into one database."""

    first: int
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {name: [] for name in TABLES})

    def ids(self, count: int) -> list[int]:
        """Return the ids of the first `count` rows of a table."""
        return [self.first + number for number in range(1, count + 1)]

    @property
    def students(self) -> list[int]:
        """The ids of the students."""
        return self.ids(STUDENTS)

    @property
    def courses(self) -> list[int]:
        """The ids of the courses."""
        return self.ids(COURSES)

    def add(self, table: str, **values: Any) -> None:
        """Add a row."""
        self.rows[table].append(values)

    def write(self, connection: Connection) -> None:
        """Insert all rows."""
        for name, rows in self.rows.items():
            if rows:
                connection.execute(insert(table(name)), rows)


@dataclass(frozen=True)
class Request:
    """What a student asks for. `kind` is `enroll`, `replace` or `unenroll`."""

    kind: str
    student: int
    course_ids: Sequence[int]
    instead_of: Sequence[int] = ()
    waitlist: bool = False
    chosen_credits: Mapping[int, Decimal] = field(default_factory=dict)


def table(name: str) -> Table:
    """Return a table by its name."""
    return Base.metadata.tables[name]


credits_of = st.sampled_from([None, Decimal(1), Decimal("2.5"), Decimal(3), Decimal(3)])
deadline = st.sampled_from([None, None, None, PAST, FUTURE])


def seldom(draw: Callable[..., Any], one_of: int = 4) -> bool:
    """Draw True once in so many times."""
    return bool(draw(st.integers(1, one_of)) == one_of)


@st.composite
def schools(draw: Callable[..., Any], first: int) -> School:
    """Draw a school."""
    school = School(first)
    _terms_and_groups(draw, school)
    _catalog(draw, school)
    for number in school.courses:
        _course(draw, school, number)
    for number in school.students:
        _student(draw, school, number)
    for course in school.rows["courses"]:
        rows = school.rows["student_courses"]
        taken = sum((row["course_id"], row["status"]) == (course["id"], "enrolled") for row in rows)
        course["capacity"] = draw(st.sampled_from([None, taken, taken, taken + 1, taken + 1]))
    return school


def _terms_and_groups(draw: Callable[..., Any], school: School) -> None:
    for number, (kind, code) in zip(school.ids(len(GROUPS)), GROUPS, strict=True):
        school.add("groups", id=number, kind=kind, code=f"{code}{number}", title="Group")
    for number, (starts_on, ends_on) in zip(school.ids(len(TERMS)), TERMS, strict=True):
        drop_until, withdraw_until = draw(deadline), draw(deadline)
        if drop_until == FUTURE and withdraw_until:
            withdraw_until = LATER
        school.add(
            "terms",
            id=number,
            code=f"T{number}",
            title="Term",
            starts_on=starts_on,
            ends_on=ends_on,
            credit_limit=draw(st.sampled_from([None, None, Decimal(6), Decimal("7.5")])),
            drop_until=drop_until,
            withdraw_until=withdraw_until,
            promote_until=draw(deadline),
        )
        windows = [(None, PAST, FUTURE), (school.first + 1, PAST, FUTURE), (None, FUTURE, LATER), (None, PAST, OVER)]
        for group_id, opens_at, closes_at in draw(
            st.sampled_from([*[windows[:1]] * 8, windows[1:2], windows[2:3], windows[1:], []])
        ):
            school.add(
                "registration_windows", term_id=number, group_id=group_id, opens_at=opens_at, closes_at=closes_at
            )


def _catalog(draw: Callable[..., Any], school: School) -> None:
    entries, groups = school.ids(ENTRIES), school.ids(len(GROUPS))
    for number in entries:
        school.add(
            "catalog_entries",
            id=number,
            code=f"E{number}",
            title="Entry",
            credits=Decimal(3),
            courses_per_term=draw(st.sampled_from([1, 1, 2, None])),
            completions_allowed=draw(st.sampled_from([None, None, None, 1, 2])),
        )
    # Only the last two entries have prerequisites, of the others.
    for number in entries[2:]:
        for group_number in range(draw(st.integers(0, 2))):
            needed = [*((each, None) for each in entries if each != number), *((None, each) for each in groups)]
            for required_id, group_id in draw(st.lists(st.sampled_from(needed), min_size=1, max_size=2, unique=True)):
                school.add(
                    "prerequisites",
                    catalog_id=number,
                    group_number=group_number,
                    required_id=required_id,
                    required_group_id=group_id,
                    minimum_points=None
                    if required_id is None
                    else draw(st.sampled_from([None, Decimal(2), Decimal("3.33")])),
                    concurrent_allowed=required_id is not None and draw(st.booleans()),
                )


def _course(draw: Callable[..., Any], school: School, number: int) -> None:
    terms = school.ids(len(TERMS))
    term_id = draw(st.sampled_from([terms[0], terms[0], terms[0], terms[1], terms[1], terms[2], None]))
    least = draw(credits_of) if term_id else None
    school.add(
        "courses",
        id=number,
        code=f"C{number}",
        title="Course",
        term_id=term_id,
        catalog_id=draw(st.sampled_from([None, *school.ids(ENTRIES), *school.ids(ENTRIES)])),
        component=draw(st.sampled_from(["", "", "LAB"])),
        credits=least,
        credits_max=None if least is None or draw(st.booleans()) else least + 1,
        permission_required=term_id is not None and seldom(draw, 12),
        closed_at=PAST if seldom(draw, 12) else None,
        waitlist_capacity=draw(st.sampled_from([None, 0, 1, 1, 2])),
    )
    for _ in range(draw(st.integers(0, 2))):
        starts = draw(st.integers(9, 10))
        first_day = draw(st.integers(1, 14))
        school.add(
            "course_meetings",
            course_id=number,
            weekday=draw(st.integers(1, 3)),
            starts_minute=f"{starts:02}:{draw(st.sampled_from([0, 30])):02}",
            ends_minute=f"{starts + 1:02}:{draw(st.sampled_from([0, 20, 30])):02}",
            starts_on=date(2950, 4, first_day),
            ends_on=date(2950, 4, first_day + draw(st.integers(0, 14))),
        )
    if term_id is None:
        return
    for group_id in school.ids(len(GROUPS)):
        if seldom(draw, 16):
            school.add("course_restrictions", course_id=number, group_id=group_id, admits=draw(st.booleans()))
    earlier = [row["id"] for row in school.rows["courses"] if row["term_id"] == term_id and row["id"] != number]
    for group_number in range(2):
        if earlier and seldom(draw, 4):
            for linked in draw(st.lists(st.sampled_from(earlier), min_size=1, max_size=2, unique=True)):
                school.add("course_links", course_id=number, group_number=group_number, linked_id=linked)


def _student(draw: Callable[..., Any], school: School, number: int) -> None:
    school.add("students", id=number, name=f"Student {number}")
    for group_id in school.ids(len(GROUPS)):
        if draw(st.booleans()):
            school.add("student_groups", student_id=number, group_id=group_id)
    for term_id in school.ids(len(TERMS)):
        if seldom(draw):
            limit = draw(st.sampled_from([Decimal(), Decimal("4.25"), Decimal(9)]))
            school.add("student_terms", student_id=number, term_id=term_id, credit_limit=limit)
    for catalog_id in school.ids(ENTRIES):
        for code in draw(st.sampled_from([[], [], ["2000FA"], ["2000FA", "2001SP"]])):
            school.add(
                "completions",
                student_id=number,
                catalog_id=catalog_id,
                term_code=code,
                grade="B",
                points=draw(st.sampled_from([None, Decimal(1), Decimal(2), Decimal("3.33")])),
                passed=not seldom(draw, 5),
                credits=Decimal(3),
            )
    if seldom(draw):
        school.add(
            "holds",
            student_id=number,
            kind="financial",
            contact="Bursar",
            blocks=draw(st.sampled_from(["enroll", "unenroll", "both"])),
            until=draw(deadline),
            released_at=PAST if seldom(draw) else None,
        )
    waived = st.tuples(st.sampled_from(school.courses), st.sampled_from(sorted(WAIVABLE)))
    for course_id, rule in draw(st.lists(waived, max_size=6, unique=True)):
        school.add(
            "permissions",
            student_id=number,
            course_id=course_id,
            rule=rule,
            reason="Knows the subject.",
            expires_at=draw(deadline),
            revoked_at=PAST if seldom(draw) else None,
        )
    for course_id in draw(st.lists(st.sampled_from(school.courses), max_size=5, unique=True)):
        _enrollment(draw, school, number, course_id)


def _enrollment(draw: Callable[..., Any], school: School, student: int, number: int) -> None:
    """Add a row with a status that the waitlist has room for."""
    (course,) = (row for row in school.rows["courses"] if row["id"] == number)
    here = [row["status"] for row in school.rows["student_courses"] if row["course_id"] == number]
    places = course["waitlist_capacity"]
    status = draw(st.sampled_from(["enrolled", "enrolled", "enrolled", "waitlisted", "unenrolled", "withdrawn"]))
    if status == "waitlisted" and places is not None and here.count("waitlisted") >= places:
        status = "enrolled"
    school.add(
        "student_courses",
        student_id=student,
        course_id=number,
        status=status,
        queue_number=len(here) + 1 if status == "waitlisted" else None,
        credits=draw(st.sampled_from([course["credits"], course["credits_max"], None])),
        passed_over_at=None,
        passed_over_for=None,
    )


@st.composite
def requests(draw: Callable[..., Any], school: School) -> Request:
    """Draw a request to the school."""
    some = st.lists(st.sampled_from(school.courses), min_size=1, max_size=4, unique=True)
    kind = draw(st.sampled_from(["enroll", "enroll", "enroll", "replace", "unenroll", "unenroll"]))
    student, wanted = draw(st.sampled_from(school.students)), draw(some)
    if kind == "unenroll":
        return Request(kind, student, wanted)
    chosen = {
        number: draw(st.sampled_from([Decimal(1), Decimal("2.5"), Decimal(3), Decimal(4)]))
        for number in wanted
        if seldom(draw, 2 if kind == "replace" else 8)
    }
    left = draw(some) if kind == "enroll" and seldom(draw, 3) else []
    instead_of = [each for each in left if each not in wanted]
    return Request(kind, student, wanted, instead_of, draw(st.booleans()), chosen)
