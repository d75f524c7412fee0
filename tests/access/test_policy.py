"""The access rows: every cell of the table by a request, on both databases."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.access import policy
from course_management.api import documents
from course_management.http.endpoints import Endpoints

from ..support.fixture_types import Make
from .conftest import as_if_absent

Headers = Callable[..., dict[str, str]]

TABLE = """
| request                                | scope             | nobody | itself | student | its advisor | advisor | its instructor | instructor               | registrar |
| -------------------------------------- | ----------------- | ------ | ------ | ------- | ----------- | ------- | -------------- | ------------------------ | --------- |
| POST /students/{s}/enroll              | enrollments:write | 401    | yes    | 404     | yes         | 404     | 403            | 403                      | yes       |
| PUT /students/{s}/enroll               | enrollments:write | 401    | yes    | 404     | yes         | 404     | -              | -                        | yes       |
| DELETE /students/{s}/unenroll          | enrollments:write | 401    | yes    | 404     | yes         | 404     | -              | -                        | yes       |
| GET /students/{s}/courses              | enrollments:read  | 401    | yes    | 404     | yes         | 404     | -              | -                        | yes       |
| GET /students/{s}/history              | enrollments:read  | 401    | yes    | 404     | yes         | 404     | -              | -                        | yes       |
| GET /students/{s}/registration?term_id={t} | students:read     | 401    | yes    | 404     | yes         | 404     | -              | -                        | yes       |
| GET /students/{s}                      | students:read     | 401    | yes    | 404     | yes         | 404     | -              | -                        | yes       |
| PATCH /students/{s}                    | students:write    | 401    | 403    | 404     | 403         | 404     | -              | -                        | yes       |
| DELETE /students/{s}                   | students:write    | 401    | 403    | 404     | 403         | 404     | -              | -                        | yes       |
| GET /students                          | students:read     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| POST /students                         | students:write    | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /courses                           | courses:read      | 401    | -      | yes     | -           | yes     | -              | -                        | yes       |
| GET /courses/{c}                       | courses:read      | 401    | -      | yes     | -           | yes     | -              | -                        | yes       |
| POST /courses                          | courses:write     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| PATCH /courses/{c}                     | courses:write     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| DELETE /courses/{c}                    | courses:write     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /courses/{c}/students              | enrollments:read  | 401    | -      | 403     | -           | 403     | yes            | 403                      | yes       |
| GET /courses/{c}/history               | enrollments:read  | 401    | -      | 403     | -           | 403     | yes            | 403                      | yes       |
| GET /courses/{c}/restrictions          | courses:read      | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| PUT /courses/{c}/restrictions          | courses:write     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /courses/{c}/instructors           | courses:read      | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| PUT /courses/{c}/instructors           | courses:write     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /courses/{c}/meetings              | courses:read      | 401    | -      | yes     | -           | yes     | -              | -                        | yes       |
| PUT /courses/{c}/meetings              | courses:write     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /courses/{c}/links                 | courses:read      | 401    | -      | yes     | -           | yes     | -              | -                        | yes       |
| PUT /courses/{c}/links                 | courses:write     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /catalog                           | courses:read      | 401    | -      | yes     | -           | yes     | -              | -                        | yes       |
| POST /catalog                          | courses:write     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /catalog/{e}                       | courses:read      | 401    | -      | yes     | -           | yes     | -              | -                        | yes       |
| PATCH /catalog/{e}                     | courses:write     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| DELETE /catalog/{e}                    | courses:write     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /catalog/{e}/prerequisites         | courses:read      | 401    | -      | yes     | -           | yes     | -              | -                        | yes       |
| PUT /catalog/{e}/prerequisites         | courses:write     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /terms                             | courses:read      | 401    | -      | yes     | -           | yes     | -              | -                        | yes       |
| POST /terms                            | courses:write     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /terms/{t}                         | courses:read      | 401    | -      | yes     | -           | yes     | -              | -                        | yes       |
| PATCH /terms/{t}                       | courses:write     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| DELETE /terms/{t}                      | courses:write     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /terms/{t}/windows                 | courses:read      | 401    | -      | yes     | -           | yes     | -              | -                        | yes       |
| PUT /terms/{t}/windows                 | courses:write     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /groups                            | students:read     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| POST /groups                           | students:write    | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /groups/{g}                        | students:read     | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| PATCH /groups/{g}                      | students:write    | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| DELETE /groups/{g}                     | students:write    | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /students/{s}/groups               | students:read     | 401    | 403    | 404     | 403         | 404     | -              | -                        | yes       |
| PUT /students/{s}/groups               | students:write    | 401    | 403    | 404     | 403         | 404     | -              | -                        | yes       |
| GET /students/{s}/completions          | completions:read  | 401    | yes    | 404     | 403         | 404     | -              | -                        | yes       |
| PUT /students/{s}/completions/{e}/F    | completions:write | 401    | 403    | 404     | 403         | 404     | -              | -                        | yes       |
| DELETE /students/{s}/completions/{e}/F | completions:write | 401    | 403    | 404     | 403         | 404     | -              | -                        | yes       |
| GET /students/{s}/terms/{t}            | students:read     | 401    | 403    | 404     | 403         | 404     | -              | -                        | yes       |
| PUT /students/{s}/terms/{t}            | students:write    | 401    | 403    | 404     | 403         | 404     | -              | -                        | yes       |
| DELETE /students/{s}/terms/{t}         | students:write    | 401    | 403    | 404     | 403         | 404     | -              | -                        | yes       |
| GET /students/{s}/holds                | holds:read        | 401    | yes    | 404     | 403         | 404     | -              | -                        | yes       |
| POST /students/{s}/holds               | holds:write       | 401    | 403    | 404     | 403         | 404     | -              | -                        | yes       |
| DELETE /students/{s}/holds/{h}         | holds:write       | 401    | 403    | 404     | 403         | 404     | -              | -                        | yes       |
| GET /students/{s}/permissions          | permissions:read  | 401    | yes    | 404     | yes         | 404     | yes            | yes                      | yes       |
| POST /students/{s}/permissions         | permissions:write | 401    | 403    | 404     | yes         | 404     | yes            | 403                      | yes       |
| DELETE /students/{s}/permissions/{x}   | permissions:write | 401    | 403    | 404     | yes         | 404     | yes            | 404 permission_not_found | yes       |
| GET /people                            | admin             | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| POST /people                           | admin             | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /people/{p}                        | admin             | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| PATCH /people/{p}                      | admin             | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| DELETE /people/{p}                     | admin             | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /people/{p}/accounts               | admin             | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| POST /people/{p}/accounts              | admin             | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| DELETE /people/{p}/accounts/{a}        | admin             | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /students/{s}/accounts             | admin             | 401    | 403    | 404     | 403         | 404     | -              | -                        | yes       |
| POST /students/{s}/accounts            | admin             | 401    | 403    | 404     | 403         | 404     | -              | -                        | yes       |
| DELETE /students/{s}/accounts/{a}      | admin             | 401    | 403    | 404     | 403         | 404     | -              | -                        | yes       |
| GET /keys                              | admin             | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| POST /keys                             | admin             | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /keys/{k}                          | admin             | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| PATCH /keys/{k}                        | admin             | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| DELETE /keys/{k}                       | admin             | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /exports/students.csv              | exports:read      | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /exports/courses.csv               | exports:read      | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /exports/enrollments.csv           | exports:read      | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /exports/oneroster.zip             | exports:read      | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /students/{s}/schedule.ics         | enrollments:read  | 401    | yes    | 404     | yes         | 404     | -              | -                        | yes       |
| GET /courses/{c}/schedule.ics          | courses:read      | 401    | -      | yes     | -           | yes     | -              | -                        | yes       |
| GET /metrics                           | metrics:read      | 401    | -      | 403     | -           | 403     | -              | -                        | yes       |
| GET /healthz                           | -                 | yes    | -      | yes     | -           | yes     | -              | -                        | yes       |
| GET /readyz                            | -                 | yes    | -      | yes     | -           | yes     | -              | -                        | yes       |
| GET /                                  | -                 | yes    | -      | yes     | -           | yes     | -              | -                        | yes       |
| GET /docs                              | -                 | yes    | -      | yes     | -           | yes     | -              | -                        | yes       |
| GET /docs/swagger-ui.css               | -                 | yes    | -      | yes     | -           | yes     | -              | -                        | yes       |
| GET /problems                          | -                 | yes    | -      | yes     | -           | yes     | -              | -                        | yes       |
| GET /problems/course-full              | -                 | yes    | -      | yes     | -           | yes     | -              | -                        | yes       |
| GET /openapi.json                      | -                 | yes    | -      | yes     | -           | yes     | -              | -                        | yes       |
"""  # noqa: E501 - a table
"""A request for each route, and its status for each caller. `-`: as `student`.

`{s}` is a student, `{c}` a course, `{h}` a hold and `{x}` a permission of the student (for the course), `{a}` an
account of the person or student; `MADE` has the others. `its instructor` teaches the course. Instructors enroll with a
permit only (`test_permits.py`).

Written by hand: the code derives the same from the access rows.
"""
BODIES: dict[str, Any] = {
    "POST /students/{s}/enroll": {"course_ids": "{c}"},
    "PUT /students/{s}/enroll": {"course_ids": "{c}"},
    "DELETE /students/{s}/unenroll": {"course_ids": "{c}"},
    "PATCH /students/{s}": {"name": "Ada King"},
    "POST /students": {"name": "Grace Hopper", "email": "grace@example.edu"},
    "POST /courses": {"code": "CS999", "title": "Compilers"},
    "PATCH /courses/{c}": {"title": "Compilers"},
    "POST /keys": {"name": "other", "scopes": ["courses:read"]},
    "PATCH /keys/{k}": {"expires_at": None},
    "PUT /courses/{c}/restrictions": [],
    "PUT /courses/{c}/instructors": [],
    "POST /terms": {"code": "2027", "title": "2027", "starts_on": "2027-01-01", "ends_on": "2027-12-31"},
    "PATCH /terms/{t}": {"title": "Autumn"},
    "PUT /terms/{t}/windows": [],
    "PUT /courses/{c}/meetings": [],
    "PUT /courses/{c}/links": {"groups": []},
    "POST /catalog": {"code": "CS 9", "title": "Compilers", "credits": 3},
    "PATCH /catalog/{e}": {"title": "Compilers"},
    "PUT /catalog/{e}/prerequisites": {"groups": []},
    "PUT /students/{s}/completions/{e}/F": {"grade": "A", "passed": True, "credits": 3},
    "PUT /students/{s}/terms/{t}": {"credit_limit": 21},
    "POST /groups": {"kind": "level", "code": "graduate", "title": "Graduate"},
    "PATCH /groups/{g}": {"title": "Mathematics"},
    "PUT /students/{s}/groups": [],
    "POST /students/{s}/holds": {"kind": "financial", "contact": "Bursar", "blocks": "enroll"},
    "POST /students/{s}/permissions": {"course_id": "{c}", "rule": "course_closed", "reason": "Her last term"},
    "POST /people": {"name": "Grace Hopper"},
    "PATCH /people/{p}": {"roles": ["advisor"]},
    "POST /people/{p}/accounts": {"issuer": "https://other.example", "subject": "grace"},
    "POST /students/{s}/accounts": {"issuer": "https://other.example", "subject": "ada"},
}
MADE: dict[str, tuple[str, Callable[[int], Any]]] = {
    "t": (
        "/terms",
        lambda number: {"code": f"T{number}", "title": "Fall", "starts_on": "2026-09-01", "ends_on": "2026-12-20"},
    ),
    "g": ("/groups", lambda number: {"kind": "program", "code": f"G{number}", "title": "Computer Science"}),
    "e": ("/catalog", lambda number: {"code": f"CS {number}", "title": "Programming", "credits": 3}),
    "p": ("/people", lambda _: {"name": "Emmy Noether"}),
    "k": ("/keys", lambda number: {"name": f"key-{number}", "scopes": ["courses:read"]}),
}
"""How a row that a request names is created: the path, and the body by a number that differs for each row."""
Ids = dict[str, int]
CALLERS = ("nobody", "itself", "student", "its advisor", "advisor", "its instructor", "instructor", "registrar")
ROWS = {
    cells[0]: cells
    for line in TABLE.strip().splitlines()[2:]
    if (cells := [cell.strip() for cell in line.strip("|").split("|")])
}
CODES = {"401": "unauthenticated", "403": "forbidden", "404": "student_not_found"}


def send(client: FlaskClient, request: str, ids: Ids, headers: dict[str, str]) -> Any:
    method, path = request.split()
    body = BODIES.get(request)
    if body and "course_ids" in body:
        body = {"course_ids": [ids["c"]]}
    elif body and "course_id" in body:
        body = body | {"course_id": ids["c"]}
    return client.open(path.format(**ids), method=method, json=body, headers=headers, buffered=True)


@pytest.fixture
def make_ids(client: FlaskClient, student: Make, course: Make) -> Callable[[str], Ids]:
    """Makes what a request names, anew; the ids."""
    made = 0

    def make(request: str) -> Ids:
        nonlocal made
        made += 1
        ids = {"s": student(), "c": course()}
        for letter, (path, make_body) in MADE.items():
            if f"{{{letter}}}" in request:
                ids[letter] = client.post(path, json=make_body(made)).get_json()["id"]
        for letter, create in (("h", "POST /students/{s}/holds"), ("x", "POST /students/{s}/permissions")):
            if f"{{{letter}}}" in request:
                ids[letter] = send(client, create, ids, {}).get_json()["id"]
        if "{a}" in request:
            path = request.split()[1].partition("/{a}")[0].format(**ids)
            body = {"issuer": "https://login.example", "subject": f"{made}"}
            ids["a"] = client.post(path, json=body).get_json()["id"]
        return ids

    return make


def test_there_is_a_request_for_every_route(app: Flask) -> None:
    adapter = app.url_map.bind("localhost")
    requests = [re.sub(r"{\w}", "1", request.partition("?")[0]).split() for request in ROWS]

    found = {(method, adapter.match(path, method=method, return_rule=True)[0].rule) for method, path in requests}

    # The pages are in tests/web/test_access.py.
    routes = {(method, rule) for method, rule, access in policy.rows(app) if not access.by_session}
    untested = {("GET", "/docs/"), ("GET", "/app/assets/<version>/<name>")}
    missing, too_many = routes - untested - found, found - routes
    assert not missing, f"Add rows for {missing} to ROWS in tests/access/test_policy.py."
    assert not too_many, f"Remove the rows of {too_many} from ROWS in tests/access/test_policy.py."


@pytest.mark.parametrize("caller", CALLERS)
def test_every_route_responds_to_each_caller_as_the_table_says(
    stranger: FlaskClient,
    student: Make,
    course: Make,
    make_ids: Callable[[str], Ids],
    person: Headers,
    caller: str,
) -> None:
    alan, other = student(), course()
    different: list[str] = []
    for request, cells in ROWS.items():
        verdict = cells[2 + CALLERS.index(caller)]
        if verdict == "-":
            continue
        ids = make_ids(request)
        ada = ids["s"]
        headers: dict[str, Callable[[], dict[str, str]]] = {
            "nobody": dict,
            "itself": lambda: person("student", ada),  # noqa: B023 - called in this round of the loop
            "student": lambda: person("student", alan),
            "its advisor": lambda: person("advisor", alan, ada),  # noqa: B023
            "advisor": lambda: person("advisor", alan),
            "its instructor": lambda: person("instructor", ids["c"]),  # noqa: B023
            "instructor": lambda: person("instructor", other),
            "registrar": lambda: person("registrar"),
        }

        response = send(stranger, request, ids, headers[caller]())

        if verdict == "yes":
            is_as_expected = response.status_code < 400
        else:
            status, code = verdict.split() if " " in verdict else (verdict, CODES[verdict])
            is_as_expected = (response.status_code, response.get_json()["code"]) == (int(status), code)
        if not is_as_expected:
            different.append(f"{request}: {response.status_code} instead of {verdict}")
    assert different == [], "Correct the access rows of these routes, or ROWS in tests/access/test_policy.py."


def test_a_service_may_use_the_routes_of_its_scopes(
    stranger: FlaskClient, make_ids: Callable[[str], Ids], bearer: Headers
) -> None:
    different: dict[str, Any] = {}
    headers = {scope: bearer(scope) for scope in policy.SCOPES}
    without = {scope: bearer(*(each for each in policy.SCOPES if each not in {scope, "admin"})) for scope in headers}
    for request, cells in ROWS.items():
        scope = cells[1]
        if scope == "-":
            continue
        ids = make_ids(request)

        refusal = send(stranger, request, ids, without[scope])
        response = send(stranger, request, ids, headers[scope])

        found = refusal.status_code, refusal.get_json().get("code"), refusal.headers.get("WWW-Authenticate", "")
        if found[:2] != (403, "forbidden") or f'scope="{scope}"' not in found[2] or response.status_code >= 400:
            different[request] = *found, response.status_code

    assert different == {}


@pytest.mark.parametrize("route", [request for request in ROWS if "{s}" in request])
@pytest.mark.parametrize("role", ["student", "advisor"])
def test_a_caller_without_access_cannot_tell_whether_a_student_exists(
    stranger: FlaskClient, student: Make, make_ids: Callable[[str], Ids], person: Headers, route: str, role: str
) -> None:
    ids = make_ids(route)
    headers = person(role, student())

    there = send(stranger, route, ids, headers)
    absent = send(stranger, route, ids | {"s": 999_999}, headers)

    assert there.status_code == 404
    assert as_if_absent(there) == as_if_absent(absent)


def test_the_refusal_is_the_one_a_registrar_gets_for_a_student_who_does_not_exist(
    stranger: FlaskClient, student: Make, person: Headers
) -> None:
    ada, alan = student(), student()

    hidden = stranger.get(f"/students/{ada}", headers=person("student", alan))
    absent = stranger.get("/students/999999", headers=person("registrar"))

    assert as_if_absent(hidden) == as_if_absent(absent)


def test_the_ledger_names_the_caller(
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


def test_a_token_without_a_linked_account_is_forbidden(stranger: FlaskClient, session_issuer: Any) -> None:
    headers = {"Authorization": f"Bearer {session_issuer.token('stranger')}"}

    response = stranger.get("/courses", headers=headers)

    assert (response.status_code, response.get_json()["code"]) == (403, "forbidden")


def test_a_route_without_an_access_row_stops_the_start(monkeypatch: pytest.MonkeyPatch, make_app: Any) -> None:
    monkeypatch.delattr(documents.docs, "access")
    with pytest.raises(RuntimeError, match=r"pages\.docs"):
        make_app()


def test_a_row_for_the_student_of_a_path_that_names_none_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, make_app: Any
) -> None:
    monkeypatch.setattr(documents.docs, "access", policy.Access(scope="students:read", student=True))
    with pytest.raises(RuntimeError, match=r"need <id:student_id> for their access row: /docs"):
        make_app()


def test_the_openapi_document_names_the_scope_of_every_route(app: Flask, client: FlaskClient) -> None:
    paths = client.get("/openapi.json").get_json()["paths"]
    adapter = app.url_map.bind("localhost")
    for request, cells in ROWS.items():
        method, path = re.sub(r"{\w}", "1", request.partition("?")[0]).split()
        rule, _ = adapter.match(path, method=method, return_rule=True)
        if isinstance(app.blueprints[rule.endpoint.partition(".")[0]], Endpoints):  # others are pages
            expected = [] if cells[1] == "-" else [{"bearer": [cells[1]]}]
            operation = paths[re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule)][method.lower()]
            assert operation["security"] == expected, request


# --- what a refusal says beside its code ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "write", "read"),
    [
        ("/students", {"name": "Ada", "email": "ADA@example.edu"}, "students:write", "students:read"),
        ("/courses", {"code": "CS101", "title": "Another"}, "courses:write", "courses:read"),
    ],
)
def test_a_conflict_names_the_existing_row_only_to_callers_that_may_read_it(
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
        response = stranger.post(path, json=body, headers=headers)
        assert response.status_code == 409
        return response.get_json().get("existing_id")

    assert existing(bearer(write)) is None
    assert existing(bearer(write, read)) == existing(bearer("admin")) == existing(person("registrar")) == ids[path]
