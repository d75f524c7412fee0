"""The table of who may do what: every cell by a request, on both databases."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient

from course_management.access import policy
from course_management.access.policy import ITS_ADVISOR, ITSELF, NOBODY, OTHER_ADVISOR, OTHER_STUDENT, REGISTRAR, ROWS

from ..databases import ROOT
from .conftest import as_if_absent

Make = Callable[..., int]
Headers = Callable[..., dict[str, str]]

CALLS: dict[str, tuple[str, str, Any]] = {
    "enrollment.enroll_student": ("POST", "/students/{student}/enroll", {"course_ids": ["{course}"]}),
    "enrollment.replace_enrollments": ("PUT", "/students/{student}/enroll", {"course_ids": ["{course}"]}),
    "enrollment.unenroll_student": ("DELETE", "/students/{student}/unenroll", {"course_ids": ["{course}"]}),
    "enrollment.list_student_courses": ("GET", "/students/{student}/courses", None),
    "students.get_student_history": ("GET", "/students/{student}/history", None),
    "students.get_student": ("GET", "/students/{student}", None),
    "students.change_student": ("PATCH", "/students/{student}", {"name": "Ada King"}),
    "students.delete_student": ("DELETE", "/students/{student}", None),
    "students.list_students": ("GET", "/students", None),
    "students.create_student": ("POST", "/students", {"name": "Grace Hopper", "email": "grace@example.edu"}),
    "courses.list_courses": ("GET", "/courses", None),
    "courses.get_course": ("GET", "/courses/{course}", None),
    "courses.create_course": ("POST", "/courses", {"code": "CS999", "title": "Compilers"}),
    "courses.change_course": ("PATCH", "/courses/{course}", {"title": "Compilers"}),
    "courses.delete_course": ("DELETE", "/courses/{course}", None),
    "courses.get_roster": ("GET", "/courses/{course}/students", None),
    "courses.get_course_history": ("GET", "/courses/{course}/history", None),
    "health.get_liveness": ("GET", "/healthz", None),
    "health.get_readiness": ("GET", "/readyz", None),
    "pages.home": ("GET", "/", None),
    "pages.docs": ("GET", "/docs", None),
    "pages.problem_page": ("GET", "/problems/course-full", None),
    "pages.problem_list": ("GET", "/problems", None),
    "api-docs.openapi_json": ("GET", "/openapi.json", None),
    "swagger_ui.show": ("GET", "/docs/swagger-ui.css", None),
}
"""A request for each row that succeeds if its caller may."""
WHO = {
    "nobody": NOBODY,
    "itself": ITSELF,
    "student": OTHER_STUDENT,
    "its advisor": ITS_ADVISOR,
    "advisor": OTHER_ADVISOR,
    "registrar": REGISTRAR,
}
CODES = {401: "unauthenticated", 403: "forbidden", 404: "student_not_found"}


def send(client: FlaskClient, route: str, student: int, course: int, headers: dict[str, str]) -> Any:
    method, path, body = CALLS[route]
    if body and "course_ids" in body:
        body = {"course_ids": [course]}
    return client.open(
        path.format(student=student, course=course), method=method, json=body, headers=headers, buffered=True
    )


def test_there_is_a_request_for_every_row() -> None:
    assert CALLS.keys() == ROWS.keys()


@pytest.mark.parametrize("who", WHO)
def test_each_cell_of_a_caller(stranger: FlaskClient, student: Make, course: Make, person: Headers, who: str) -> None:
    wrong: dict[str, str] = {}
    for route, row in ROWS.items():
        verdict = row[WHO[who]]
        if verdict == "-":
            continue
        ada, alan, programming = student(), student(), course()
        make: dict[str, Callable[[], dict[str, str]]] = {
            "nobody": dict,
            "itself": partial(person, "student", ada),
            "student": partial(person, "student", alan),
            "its advisor": partial(person, "advisor", alan, ada),
            "advisor": partial(person, "advisor", alan),
            "registrar": partial(person, "registrar"),
        }

        answer = send(stranger, route, ada, programming, make[who]())

        found = "yes" if answer.status_code < 400 else f"{answer.status_code} {answer.get_json()['code']}"
        expected = "yes" if verdict == "yes" else f"{verdict} {CODES[int(verdict)]}"
        if found != expected:
            wrong[route] = f"{found} instead of {expected}"

    assert wrong == {}


def test_a_service_may_what_its_scopes_say(stranger: FlaskClient, student: Make, course: Make, bearer: Headers) -> None:
    wrong: dict[str, Any] = {}
    headers = {scope: bearer(scope) for scope in policy.SCOPES}
    without = {scope: bearer(*(each for each in policy.SCOPES if each not in {scope, "admin"})) for scope in headers}
    for route, row in ROWS.items():
        scope = row[1]
        if scope == "-":
            continue
        ada, programming = student(), course()

        refusal = send(stranger, route, ada, programming, without[scope])
        answer = send(stranger, route, ada, programming, headers[scope])

        found = refusal.status_code, refusal.get_json().get("code"), refusal.headers.get("WWW-Authenticate", "")
        if found[:2] != (403, "forbidden") or f'scope="{scope}"' not in found[2] or answer.status_code >= 400:
            wrong[route] = *found, answer.status_code

    assert wrong == {}


@pytest.mark.parametrize("route", [route for route in ROWS if "{student}" in CALLS[route][1]])
@pytest.mark.parametrize("role", ["student", "advisor"])
def test_who_may_not_see_a_student_cannot_tell_whether_there_is_one(
    stranger: FlaskClient, student: Make, course: Make, person: Headers, route: str, role: str
) -> None:
    ada, alan, programming = student(), student(), course()
    headers = person(role, alan)

    there = send(stranger, route, ada, programming, headers)
    absent = send(stranger, route, 999_999, programming, headers)

    assert there.status_code == 404
    assert as_if_absent(there) == as_if_absent(absent)


def test_the_refusal_is_the_one_a_registrar_gets_for_a_student_who_is_not_there(
    stranger: FlaskClient, student: Make, person: Headers
) -> None:
    ada, alan = student(), student()

    hidden = stranger.get(f"/students/{ada}", headers=person("student", alan))
    absent = stranger.get("/students/999999", headers=person("registrar"))

    assert as_if_absent(hidden) == as_if_absent(absent)


def test_the_ledger_says_who_it_was(
    stranger: FlaskClient, client: FlaskClient, student: Make, course: Make, person: Headers, make_key: Any
) -> None:
    ada, programming = student(), course()
    key = {"Authorization": f"Bearer {make_key('enrollments:write', name='portal')}"}
    for headers in (person("student", ada), person("advisor", ada), person("registrar"), key):
        body = {"course_ids": [programming]}
        assert stranger.post(f"/students/{ada}/enroll", json=body, headers=headers).status_code == 201
        assert stranger.delete(f"/students/{ada}/unenroll", json=body, headers=headers).status_code == 200

    events = client.get(f"/students/{ada}/history").get_json()["items"]

    actors = [event["actor"] for event in reversed(events)][::2]
    assert actors[0] == f"student:{ada}"
    assert re.fullmatch(r"advisor:\d+", actors[1])
    assert re.fullmatch(r"registrar:\d+", actors[2])
    assert actors[3] == "service:portal"


def test_somebody_nobody_has_linked_may_nothing(stranger: FlaskClient, session_issuer: Any) -> None:
    headers = {"Authorization": f"Bearer {session_issuer.token('stranger')}"}

    answer = stranger.get("/courses", headers=headers)

    assert (answer.status_code, answer.get_json()["code"]) == (403, "forbidden")


def test_a_route_without_a_row_stops_the_app(monkeypatch: pytest.MonkeyPatch, make_app: Any) -> None:
    monkeypatch.setattr(policy, "ROWS", {route: row for route, row in ROWS.items() if route != "courses.get_roster"})
    with pytest.raises(RuntimeError, match=r"courses\.get_roster"):
        make_app()


def test_a_row_without_a_route_stops_the_app(monkeypatch: pytest.MonkeyPatch, make_app: Any) -> None:
    monkeypatch.setattr(policy, "ROWS", {**ROWS, "courses.sell": ROWS["courses.get_roster"]})
    with pytest.raises(RuntimeError, match=r"courses\.sell"):
        make_app()


def test_the_document_names_the_scope_of_every_route(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    found = {
        operation["operationId"]: operation["security"]
        for path in document["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
    }
    for route, row in ROWS.items():
        blueprint, view = route.split(".", 1)
        if blueprint in {"enrollment", "students", "courses", "health"}:
            assert found[view] == ([] if row[1] == "-" else [{"bearer": [row[1]]}])


def test_the_page_shows_the_table() -> None:
    assert policy.TABLE.strip() in (ROOT / "docs" / "access.md").read_text()


# --- what a refusal says beside its code ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "write", "read"),
    [
        ("/students", {"name": "Ada", "email": "ADA@example.edu"}, "students:write", "students:read"),
        ("/courses", {"code": "CS101", "title": "Another"}, "courses:write", "courses:read"),
    ],
)
def test_a_conflict_names_what_exists_only_to_who_may_read_it(
    stranger: FlaskClient,
    student: Make,
    course: Make,
    bearer: Headers,
    person: Headers,
    path: str,
    body: dict[str, str],
    write: str,
    read: str,
) -> None:
    ids = {"/students": student(email="ada@example.edu"), "/courses": course(code="CS101")}

    def existing(headers: dict[str, str]) -> Any:
        answer = stranger.post(path, json=body, headers=headers)
        assert answer.status_code == 409
        return answer.get_json().get("existing_id")

    assert existing(bearer(write)) is None
    assert existing(bearer(write, read)) == existing(bearer("admin")) == existing(person("registrar")) == ids[path]
