"""Who may do what: one table that the service obeys, the tests go through cell by cell, and docs/access.md shows.

A row is a route, by the name of its view; a column is how the caller stands to the student in the route's path:
nobody known, the student itself, another student, the student's advisor, another's advisor, a registrar. A cell says
`yes`, or the status of the refusal; `-` where the path names no student, so that everybody is another one. A service
may what its key's scopes say, whoever the student is; `admin` is every scope.

What a person may not see is answered as if it did not exist, before anything is read: 404 is the same for a student
who is there and one who is not. 403 says nothing either, since it does not depend on what is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..errors import Forbidden, Problem, StudentNotFound, Unauthenticated
from .callers import CHALLENGE, Caller, Service

TABLE = """
| route                           | scope             | nobody | itself | student | its advisor | advisor | registrar |
| ------------------------------- | ----------------- | ------ | ------ | ------- | ----------- | ------- | --------- |
| enrollment.enroll_student       | enrollments:write | 401    | yes    | 404     | yes         | 404     | yes       |
| enrollment.replace_enrollments  | enrollments:write | 401    | yes    | 404     | yes         | 404     | yes       |
| enrollment.unenroll_student     | enrollments:write | 401    | yes    | 404     | yes         | 404     | yes       |
| enrollment.list_student_courses | enrollments:read  | 401    | yes    | 404     | yes         | 404     | yes       |
| students.get_student_history    | enrollments:read  | 401    | yes    | 404     | yes         | 404     | yes       |
| students.get_student            | students:read     | 401    | yes    | 404     | yes         | 404     | yes       |
| students.change_student         | students:write    | 401    | 403    | 404     | 403         | 404     | yes       |
| students.delete_student         | students:write    | 401    | 403    | 404     | 403         | 404     | yes       |
| students.list_students          | students:read     | 401    | -      | 403     | -           | 403     | yes       |
| students.create_student         | students:write    | 401    | -      | 403     | -           | 403     | yes       |
| courses.list_courses            | courses:read      | 401    | -      | yes     | -           | yes     | yes       |
| courses.get_course              | courses:read      | 401    | -      | yes     | -           | yes     | yes       |
| courses.create_course           | courses:write     | 401    | -      | 403     | -           | 403     | yes       |
| courses.change_course           | courses:write     | 401    | -      | 403     | -           | 403     | yes       |
| courses.delete_course           | courses:write     | 401    | -      | 403     | -           | 403     | yes       |
| courses.get_roster              | enrollments:read  | 401    | -      | 403     | -           | 403     | yes       |
| courses.get_course_history      | enrollments:read  | 401    | -      | 403     | -           | 403     | yes       |
| health.get_liveness             | -                 | yes    | -      | yes     | -           | yes     | yes       |
| health.get_readiness            | -                 | yes    | -      | yes     | -           | yes     | yes       |
| pages.home                      | -                 | yes    | -      | yes     | -           | yes     | yes       |
| pages.docs                      | -                 | yes    | -      | yes     | -           | yes     | yes       |
| pages.problem_page              | -                 | yes    | -      | yes     | -           | yes     | yes       |
| pages.problem_list              | -                 | yes    | -      | yes     | -           | yes     | yes       |
| api-docs.openapi_json           | -                 | yes    | -      | yes     | -           | yes     | yes       |
| swagger_ui.show                 | -                 | yes    | -      | yes     | -           | yes     | yes       |
"""

NOBODY, ITSELF, OTHER_STUDENT, ITS_ADVISOR, OTHER_ADVISOR, REGISTRAR = range(2, 8)
"""The columns of `TABLE` that say who."""

REFUSALS: Mapping[str, type[Problem]] = {"401": Unauthenticated, "403": Forbidden, "404": StudentNotFound}


def _rows() -> Iterator[list[str]]:
    for line in TABLE.strip().splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


ROWS: Mapping[str, Sequence[str]] = {row[0]: row for row in _rows()}
"""The cells of each route, in the order of the columns."""
SCOPES = (*dict.fromkeys(row[1] for row in ROWS.values() if row[1] != "-"), "admin")
"""What a key can be made for."""


def stop_unless_complete(routes: Iterable[str]) -> None:
    """Deny by default: raises `RuntimeError` for a route without a row, and for a row without a route."""
    different = set(routes) ^ set(ROWS)
    if different:
        raise RuntimeError(f"routes and the table of access/policy.py disagree about: {', '.join(sorted(different))}")


def is_public(route: str) -> bool:
    """Whether everybody may, known or not."""
    return route in ROWS and ROWS[route][NOBODY] == "yes"


def scope_of(route: str) -> str:
    """The scope that a service's key needs for it."""
    return ROWS[route][1]


def check(route: str, caller: Caller | None, student_id: int | None) -> None:
    """Let the caller (None: nobody) pass, or raise `Unauthenticated`, `Forbidden` or `StudentNotFound`."""
    row = ROWS[route]
    if isinstance(caller, Service) and not is_public(route):
        scope = row[1]
        if not caller.scopes & {scope, "admin"}:
            raise Forbidden(
                f"The key lacks the scope {scope}.",
                headers={"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{scope}"'},
            )
        return
    verdict = row[column(caller, student_id)]
    if verdict != "yes":
        raise REFUSALS[verdict]


def permits(route: str, caller: Caller | None) -> bool:
    """Tell whether a caller who was let in elsewhere may use this route, too. None is everybody in protected mode."""
    try:
        if caller is not None:
            check(route, caller, None)
    except Problem:
        return False
    return True


def column(caller: Caller | None, student_id: int | None) -> int:
    """How somebody stands to a student. Where the path names no student, everybody is another one."""
    if caller is None or isinstance(caller, Service):
        return NOBODY
    if caller.role == "registrar":
        return REGISTRAR
    if caller.role == "advisor":
        return ITS_ADVISOR if student_id in caller.students else OTHER_ADVISOR
    return ITSELF if student_id in caller.students else OTHER_STUDENT
