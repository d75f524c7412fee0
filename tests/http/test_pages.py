"""Pages: each has an access row, and the Content-Security-Policy of its blueprint."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient

from course_management.access import policy
from course_management.access.policy import Access
from course_management.errors import StudentNotFound
from course_management.http.pages import Pages

from ..support.keys import create_key

POLICY = "default-src 'self'; frame-ancestors 'none'"
HTML = "<!doctype html><title>Hello</title>"
READ = Access(scope="students:read", student=True)


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    """Return the app, with a page for callers that may read students, and a page for everyone."""
    app = make_app()
    pages = Pages("pages_of_this_test", __name__, content_security_policy=POLICY)

    @pages.page("/test/students/<id:student_id>", READ)
    def hello_student(student_id: int) -> str:
        if student_id == 404:
            raise StudentNotFound
        return HTML

    @pages.page("/test/hello", policy.PUBLIC)
    def hello() -> Response:
        return Response(HTML, headers={"Cache-Control": "public, no-cache"})

    app.register_blueprint(pages)
    return app


def test_a_page_has_the_policy_of_its_blueprint_and_the_headers_of_every_response(client: FlaskClient) -> None:
    response = client.get("/test/students/7")

    assert (response.status_code, response.mimetype, response.text) == (200, "text/html", HTML)
    assert response.headers.getlist("Content-Security-Policy") == [POLICY]
    assert response.headers.getlist("Cache-Control") == ["private, no-cache"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_header_that_the_view_has_set_stays(client: FlaskClient) -> None:
    headers = client.get("/test/hello").headers

    assert headers.getlist("Cache-Control") == ["public, no-cache"]
    assert headers["Content-Security-Policy"] == POLICY


def test_a_refusal_of_a_page_has_its_policy(client: FlaskClient) -> None:
    response = client.get("/test/students/404")

    assert (response.status_code, response.mimetype) == (404, "application/problem+json")
    assert response.headers.getlist("Content-Security-Policy") == [POLICY]


def test_a_page_has_an_access_row(app: Flask) -> None:
    rows = {rule: access for method, rule, access in policy.rows(app) if rule.startswith("/test/")}

    assert rows == {"/test/students/<id:student_id>": READ, "/test/hello": policy.PUBLIC}


def test_a_page_is_refused_to_callers_without_access(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        headers = {"Authorization": f"Bearer {create_key('portal', ['courses:read'])}"}

    assert client.get("/test/students/7").status_code == 401
    assert client.get("/test/students/7", headers=headers).status_code == 403
    assert client.get("/test/hello").status_code == 200


@pytest.mark.parametrize("path", ["/docsfoo", "/docs.json", "/problemsfoo", "/test/nothing"])
def test_a_path_that_only_begins_like_a_page_has_no_policy_of_a_page(client: FlaskClient, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 404
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
