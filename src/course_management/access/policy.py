"""Authorization: each route has an access row, which says who may use it. A route without a row stops the start.

Each row is beside its route, in `api/`; docs/access.md shows the table of all rows, and a test checks each cell.

A student whom a person may not see gets the response of a student who does not exist, 404, before anything is read. 403
reveals nothing, because it does not depend on the student.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from flask import Flask

from ..errors import Forbidden, Problem, StudentNotFound, Unauthenticated
from ..models import ADVISOR, REGISTRAR
from .callers import CHALLENGE, Caller, PersonCaller, ServiceCaller

Scope = Literal[
    "enrollments:write",
    "enrollments:read",
    "students:read",
    "students:write",
    "courses:read",
    "courses:write",
    "holds:read",
    "holds:write",
    "permissions:read",
    "permissions:write",
    "completions:read",
    "completions:write",
    "exports:read",
    "metrics:read",
    "admin",
]
ADMIN: Scope = "admin"
SCOPES: tuple[str, ...] = get_args(Scope)
"""The scopes of API keys; `admin` includes all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """An access row. A registrar may use every route, and a service the routes of its scopes.

    `student` and `advisor` are relations to the student in the path of the route, `student_id` (`rows` checks its
    name); `instructor` is one to the course.
    """

    scope: Scope | None
    """The scope that a service needs; None: every caller may use the route, authenticated or not."""
    student: bool = False
    """The student in the path may use the route."""
    advisor: bool = False
    """An advisor of the student in the path may use the route."""
    instructor: bool = False
    """An instructor of the course in the path may use the route.

    Where the path names a student and no course, an instructor may use it for the courses that the person teaches, and
    not for itself; the view asks `limited_to`.
    """
    every_person: bool = False
    """Every person with a valid token may use the route."""
    waits: bool = True
    """False for the liveness check, which must not wait for the database."""
    by_session: ClassVar[bool] = False
    """Whether the callers are people with a session (pages), and not those of the Authorization header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAccess(Access):
    """The access row of a page: its callers have a session. A registrar may use every page that is not personal.

    `scope` is the one that a service needs for the same data in the API; None: everybody may use the page. A personal
    page names no student or course in its path: it is about what belongs to the caller.
    """

    own: bool = False
    """A personal page for every student, about that student."""
    teaching: bool = False
    """A personal page for every instructor, about the courses that the person teaches."""
    advising: bool = False
    """A personal page for every advisor, about the students that the person advises."""
    by_session: ClassVar[bool] = True

    @property
    def is_personal(self) -> bool:
        """Whether it is about what belongs to the caller, so that nobody else can use it."""
        return self.own or self.teaching or self.advising

    def is_about_something_of(self, person: PersonCaller) -> bool:
        """Return whether it is a personal page, and there is something that belongs to the person."""
        return (
            (self.own and person.student_id is not None)
            or (self.teaching and bool(person.teaches))
            or (self.advising and ADVISOR in person.roles)
        )


PUBLIC = Access(scope=None)


def check(access: Access, caller: Caller | None, student_id: int | None = None, course_id: int | None = None) -> None:
    """Raise `Unauthenticated`, `Forbidden` or `StudentNotFound` unless the caller may use the route.

    `caller` is None without authentication; `student_id` and `course_id` are None if the path has none.
    """
    if access.scope is None:
        return
    if caller is None:
        raise Unauthenticated
    if isinstance(caller, ServiceCaller):
        if not caller.scopes & {access.scope, ADMIN}:
            raise Forbidden(
                f"The API key lacks the scope {access.scope}.",
                headers={"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{access.scope}"'},
            )
    elif not (
        _has_access(access, caller, student_id) or _has_access_as_instructor(access, caller, student_id, course_id)
    ):
        related = student_id is None or student_id == caller.student_id or student_id in caller.advisees
        raise Forbidden if related else StudentNotFound


def _has_access(access: Access, person: PersonCaller, student_id: int | None) -> bool:
    if isinstance(access, PageAccess) and access.is_personal:
        return access.is_about_something_of(person)
    if access.every_person or REGISTRAR in person.roles:
        return True
    is_student = student_id is not None and student_id == person.student_id
    is_advisor = student_id in person.advisees and ADVISOR in person.roles
    return (access.student and is_student) or (access.advisor and is_advisor)


def _has_access_as_instructor(
    access: Access, person: PersonCaller, student_id: int | None, course_id: int | None
) -> bool:
    if not access.instructor:
        return False
    if student_id is None:
        return course_id in person.teaches
    return bool(person.teaches) and student_id != person.student_id


def limited_to(access: Access, caller: object, student_id: int) -> frozenset[int] | None:
    """Return the courses for which a caller may use a route of a student: those that the person teaches.

    None: for all courses.
    """
    if isinstance(caller, PersonCaller) and not _has_access(access, caller, student_id):
        return caller.teaches
    return None


def has_access(access: Access, caller: object, student_id: int | None = None) -> bool:
    """Return whether a caller may use this route, too, for a student. In protected mode, every caller may."""
    try:
        if isinstance(caller, ServiceCaller | PersonCaller):
            check(access, caller, student_id)
    except Problem:
        return False
    return True


def check_grant(caller: object, scopes: Collection[str]) -> None:
    """Raise `Forbidden` unless a caller may give a key these scopes: it needs to have them itself.

    A registrar has all but `admin`. In protected mode and on the command line, every caller has all of them.
    """
    if isinstance(caller, ServiceCaller):
        own = set(SCOPES) if ADMIN in caller.scopes else caller.scopes
    elif isinstance(caller, PersonCaller):
        own = set(SCOPES) - {ADMIN} if REGISTRAR in caller.roles else set()
    else:
        return
    if lacking := sorted(set(scopes) - own):
        raise Forbidden(f"You cannot give a key scopes that you do not have: {', '.join(lacking)}.")


def rows(app: Flask) -> Iterator[tuple[str, str, Access]]:
    """Yield the method, the route and the access row of each view.

    Raises `RuntimeError` for views without a row, and for a row that names the student of a path which has none.
    """
    without: list[str] = []
    unrelated: list[str] = []
    for rule in app.url_map.iter_rules():
        access = getattr(app.view_functions[rule.endpoint], "access", None)
        if access is None:
            without.append(rule.endpoint)
        else:
            # `authenticate` reads the student of a request from the value `student_id` of its path.
            if (access.student or access.advisor) and "student_id" not in rule.arguments:
                unrelated.append(rule.rule)
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield method, rule.rule, access
    if without:
        raise RuntimeError(f"these views have no access row: {', '.join(sorted(without))}")
    if unrelated:
        raise RuntimeError(f"these routes need <id:student_id> for their access row: {', '.join(sorted(unrelated))}")


COLUMNS: Mapping[str, Caller | None] = {
    "no credentials": None,
    "the student": PersonCaller("", student_id=1),
    "another student": PersonCaller("", student_id=2),
    "the advisor": PersonCaller("", frozenset([ADVISOR]), advisees=frozenset([1])),
    "another advisor": PersonCaller("", frozenset([ADVISOR]), advisees=frozenset([2])),
    "the instructor": PersonCaller("", teaches=frozenset([1])),
    "another instructor": PersonCaller("", teaches=frozenset([2])),
    "registrar": PersonCaller("", frozenset([REGISTRAR])),
}
"""Each kind of caller, where the path names student 1 or course 1."""


def markdown(app: Flask, *, pages: bool = False) -> str:
    """Return a table of docs/access.md: each route with its scope and, for each kind of caller, yes or the status.

    With `pages`, the table of the pages; else that of everything else.
    """
    lines = [
        f"| {'page' if pages else 'route'} | scope | {' | '.join(COLUMNS)} |",
        f"| --- | --- | {' | '.join('---' for _ in COLUMNS)} |",
    ]
    shown = [row for row in rows(app) if row[2].by_session == pages]
    for method, rule, access in sorted(shown, key=lambda row: (row[1].count("/"), row[1], row[0])):
        named = [1 if name in rule else None for name in ("student_id", "course_id")]
        route = f"`{method} {rule.replace('<id:', '{').replace('<path:', '{').replace('<', '{').replace('>', '}')}`"
        cells = [_verdict(access, caller, *named) for caller in COLUMNS.values()]
        lines.append(f"| {route} | {access.scope or ''} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _verdict(access: Access, caller: Caller | None, student_id: int | None, course_id: int | None) -> str:
    try:
        check(access, caller, student_id, course_id)
    except Problem as problem:
        return str(problem.status)
    return "yes"
