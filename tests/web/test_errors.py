"""Errors below `/app` are pages, whoever notices them: the routing, a hook, a view, or the server under overload."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder

from course_management.config import Settings
from course_management.errors import InternalError, Overloaded, Problem, all_codes
from course_management.http import problems
from course_management.web import home, remedies
from course_management.web.plain_errors import with_pages

from ..support.fixture_types import Make
from .checking import faults, parse
from .school import ORIGIN


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a browser in protected mode."""
    return FlaskClient(app, app.response_class)


def broken(*_: Any) -> None:
    raise RuntimeError


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/app/nothing", {}, 404),
        ("GET", "/app/courses/0", {}, 404),
        ("PUT", "/app/registrar/courses", {}, 405),
        ("DELETE", "/app/nothing", {}, 405),
        ("get", "/app/registrar", {"headers": ORIGIN}, 405),
        ("POST", "/app/view-as", {"data": {"student_id": "1" * 2_000_000}, "headers": ORIGIN}, 413),
        ("GET", f"/app/registrar?{'x' * 9000}", {}, 414),
        ("GET", "/app/registrar", {"headers": {"X-Long": "x" * 9000}}, 431),
        ("GET", "/app/registrar", {"headers": {"Host": "evil.example"}}, 403),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_error_is_a_page(client: FlaskClient, method: str, path: str, options: dict[str, Any], status: int) -> None:
    response = client.open(path, method=method, **options)

    assert (response.status_code, response.mimetype) == (status, "text/html")
    assert len(response.headers.getlist("Content-Security-Policy")) == 1
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
    assert faults(response.text) == []


def test_a_fault_of_a_page_is_a_page_with_the_number_of_the_request(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "links_for", broken)

    response = client.get("/app/", headers={"X-Request-ID": "number-7"})

    assert (response.status_code, response.mimetype, "number-7" in response.text) == (500, "text/html", True)


def test_an_error_of_the_api_stays_data(client: FlaskClient) -> None:
    for path in ("/nothing", "/application", "/courses/7"):
        response = client.get(path)
        assert (response.status_code, response.mimetype) == (404, "application/problem+json")


# --- without the application ------------------------------------------------------------------------------


def refuse(path: str, base_url: str = "", **options: Any) -> tuple[int, dict[str, str], str]:
    """Return the response of a server that has no thread for a request."""
    respond = with_pages(Settings.load({"BASE_URL": base_url}, environ={}), problems.problem_response)
    status, headers, body = respond(Overloaded, EnvironBuilder(path, **options).get_environ())
    assert dict(headers)["Content-Length"] == str(len(body))
    return status, dict(headers), body.decode()


def test_an_overloaded_server_responds_with_a_page_that_can_be_tried_again() -> None:
    status, headers, body = refuse('/app/courses?q="><script>')

    assert (status, headers["Content-Type"], headers["Retry-After"]) == (503, "text/html; charset=utf-8", "1")
    assert "style-src 'self'" in headers["Content-Security-Policy"]
    root, errors = parse(body)
    links = [element.attributes["href"] for element in root.walk() if element.tag == "a"]
    assert (errors, [element for element in root.walk() if element.tag == "script"]) == ([], [])
    assert len(links) == 1
    assert links[0].startswith("/app/courses?q=")


def test_a_form_that_an_overloaded_server_refuses_is_not_repeated_by_a_link() -> None:
    _, _, body = refuse("/app/courses/1/enroll", method="POST")

    assert "<a " not in body
    assert "Go back and send the form again." in body


def test_the_page_of_an_overloaded_server_has_the_path_prefix() -> None:
    for path in ("/enrollment/app/plan", "/app/plan"):
        _, _, body = refuse(path, "https://school.example/enrollment")
        assert 'href="/enrollment/app/plan"' in body
        assert 'href="/enrollment/app/assets/' in body


def test_an_overloaded_server_responds_to_the_api_with_data() -> None:
    status, headers, body = refuse("/courses")

    assert (status, headers["Content-Type"], '"code":"overloaded"' in body) == (503, "application/problem+json", True)


def test_the_styles_of_the_page_of_an_overloaded_server_exist(client: FlaskClient) -> None:
    root, _ = parse(refuse("/app/")[2])
    addresses = [element.attributes["href"] for element in root.walk() if element.tag == "link"]

    assert len(addresses) == 2
    assert {client.get(address).status_code for address in addresses} == {200}


def test_a_fault_of_the_server_says_so() -> None:
    respond = with_pages(Settings.load({}, environ={}), problems.problem_response)

    status, _, body = respond(InternalError, EnvironBuilder("/app/").get_environ())

    assert (status, b"Internal error" in body) == (500, True)


def test_a_refusal_says_what_a_person_can_do(client: FlaskClient, student: Make, course: Make) -> None:
    ada, cs1 = student(), course(code="CS1", capacity=0)
    client.post("/app/view-as", data={"student_id": ada}, headers=ORIGIN)

    refused = client.post(f"/app/courses/{cs1}/enroll", headers=ORIGIN)

    assert (refused.status_code, "or choose another course." in refused.text) == (409, True)
    assert '"waitlist": true' not in refused.text


def test_each_remedy_for_people_is_that_of_a_problem() -> None:
    problems = {code for code, each in all_codes().items() if issubclass(each, Problem)}
    unknown = remedies.REMEDIES.keys() - problems

    assert unknown == set(), "Remove them from REMEDIES in src/course_management/web/remedies.py."
