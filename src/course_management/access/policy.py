"""Authorization: each route has an access row, which says who may use it. A route without a row stops the start.

A row stands beside its route, in `api/`; docs/access.md shows all of them, and a test goes through them cell by cell.

What a person may not see is answered as if it did not exist, before anything is read: 404 is the same for a student
that exists and one that does not. 403 says nothing either, since it does not depend on what is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from flask import Flask

from ..errors import Forbidden, Problem, StudentNotFound, Unauthenticated
from .callers import CHALLENGE, Caller, Person, Service

Scope = Literal[
    "enrollments:write",
    "enrollments:read",
    "students:read",
    "students:write",
    "courses:read",
    "courses:write",
    "admin",
]
SCOPES: tuple[str, ...] = get_args(Scope)
"""What an API key can be made for; `admin` is every scope."""
REGISTRAR, ADVISOR = "registrar", "advisor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may use a route. A registrar may use every route, and a service those that its scopes name.

    The relations concern the student in the route's path: a person may be that student, or advise it.
    """

    scope: Scope | None
    """The scope that a service needs; None: everybody may use the route, known or not."""
    student: bool = False
    """The student in the path may."""
    advisor: bool = False
    """The advisor of the student in the path may."""
    everybody: bool = False
    """Every known person may."""
    waits: bool = True
    """False for the liveness check, which must not wait for the database."""


PUBLIC = Access(scope=None)

View = TypeVar("View", bound=Callable[..., Any])


def public(view: View) -> View:
    """Decorate a view of a plain Flask blueprint: everybody may use it."""
    view.access = PUBLIC  # type: ignore[attr-defined]
    return view


def check(access: Access, caller: Caller | None, student_id: int | None) -> None:
    """Raise `Unauthenticated`, `Forbidden` or `StudentNotFound` unless the caller (None: unknown) may use the route.

    `student_id` is the student in the path, None if the path names none.
    """
    if access.scope is None:
        return
    if caller is None:
        raise Unauthenticated
    if isinstance(caller, Service):
        if not caller.scopes & {access.scope, "admin"}:
            raise Forbidden(
                f"The API key lacks the scope {access.scope}.",
                headers={"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{access.scope}"'},
            )
    elif not _permits(access, caller, student_id):
        related = student_id is None or student_id == caller.student_id or student_id in caller.advisees
        raise Forbidden if related else StudentNotFound


def _permits(access: Access, person: Person, student_id: int | None) -> bool:
    if access.everybody or REGISTRAR in person.roles:
        return True
    is_student = student_id is not None and student_id == person.student_id
    is_advisor = student_id in person.advisees and ADVISOR in person.roles
    return (access.student and is_student) or (access.advisor and is_advisor)


def permits(access: Access, caller: object) -> bool:
    """Return whether a caller that was admitted may use this route, too. None is everybody in protected mode."""
    try:
        if isinstance(caller, Service | Person):
            check(access, caller, None)
    except Problem:
        return False
    return True


def rows(app: Flask) -> Iterator[tuple[str, str, Access]]:
    """Yield the method, the route and the access row of each view. Raises `RuntimeError` for views without a row."""
    without: list[str] = []
    for rule in app.url_map.iter_rules():
        access = getattr(app.view_functions[rule.endpoint], "access", None)
        if access is None:
            without.append(rule.endpoint)
        else:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield method, rule.rule, access
    if without:
        raise RuntimeError(f"these views have no access row: {', '.join(sorted(without))}")


COLUMNS: Mapping[str, Caller | None] = {
    "nobody": None,
    "the student": Person("", student_id=1),
    "another student": Person("", student_id=2),
    "the advisor": Person("", frozenset([ADVISOR]), advisees=frozenset([1])),
    "another advisor": Person("", frozenset([ADVISOR]), advisees=frozenset([2])),
    "registrar": Person("", frozenset([REGISTRAR])),
}
"""Each kind of caller, where the path names student 1."""


def markdown(app: Flask) -> str:
    """Return the table of docs/access.md: each route with its scope and, for each kind of caller, yes or the status."""
    lines = [
        f"| route | scope | {' | '.join(COLUMNS)} |",
        f"| --- | --- | {' | '.join('---' for _ in COLUMNS)} |",
    ]
    for method, rule, access in sorted(rows(app), key=lambda row: (row[1].count("/"), row[1], row[0])):
        has_student = "student_id" in rule
        route = f"`{method} {rule.replace('<id:', '{').replace('<path:', '{').replace('<', '{').replace('>', '}')}`"
        cells = [_verdict(access, caller, 1 if has_student else None) for caller in COLUMNS.values()]
        lines.append(f"| {route} | {access.scope or ''} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _verdict(access: Access, caller: Caller | None, student_id: int | None) -> str:
    try:
        check(access, caller, student_id)
    except Problem as problem:
        return str(problem.status)
    return "yes"
