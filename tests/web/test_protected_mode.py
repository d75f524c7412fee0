"""Protected mode: nobody signs in, and the pages can be viewed as a student; a path prefix; limits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.access import sessions
from course_management.access.sessions import Owner

from ..support.fixture_types import Make
from ..support.keys import create_key
from .school import ORIGIN, visit


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a client of the API in protected mode."""
    return app.test_client()


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    return FlaskClient(app, app.response_class)


def test_everything_is_shown_with_a_banner_and_the_pages_of_a_student_after_a_choice(
    browser: FlaskClient, student: Make
) -> None:
    ada = student(name="Ada Lovelace")

    assert "Protected mode" in browser.get("/app/registrar").text
    assert browser.get("/app/history").status_code == 403
    assert browser.post("/app/view-as", data={"student_id": ada}, headers=ORIGIN).status_code == 303
    assert "You see the pages as Ada Lovelace" in browser.get("/app/history").text
    assert browser.post("/app/view-as", headers=ORIGIN).status_code == 303
    assert browser.get("/app/history").status_code == 403
    assert browser.post("/app/view-as", data={"student_id": 999}, headers=ORIGIN).status_code == 404


def test_a_client_elsewhere_sees_nothing(browser: FlaskClient) -> None:
    for path in ("/app/registrar", "/app/login"):
        response = browser.get(path, environ_base={"REMOTE_ADDR": "203.0.113.7"})
        assert (response.status_code, response.mimetype) == (403, "text/html")
        assert "Protected mode" in response.text


def test_whoever_viewed_the_pages_as_a_student_is_nobody_after_the_first_key(
    app: Flask, browser: FlaskClient, student: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.post("/app/view-as", data={"student_id": student()}, headers=ORIGIN)
    with app.app_context():
        create_key("first", ["admin"])
    monkeypatch.setattr(app.extensions["authentication"], "_looked", float("-inf"))

    response = browser.get("/app/history")

    assert (response.status_code, response.headers["Location"]) == (303, "/app/login?next=%2Fhistory")
    assert "Ask the registrar for a sign-in link" in browser.get("/app/login").text


def test_a_form_of_another_site_does_nothing_in_protected_mode(browser: FlaskClient, student: Make) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
        response = browser.post("/app/view-as", data={"student_id": student()}, headers=headers)
        assert (response.status_code, response.headers.getlist("Set-Cookie")) == (403, [])


def test_under_a_path_prefix_links_and_cookies_have_it_whether_the_proxy_cuts_it_or_not(
    make_app: Callable[..., Flask], student: Make
) -> None:
    ada = student()
    app = make_app(base_url="http://localhost/enrollment")
    with app.app_context():
        session_id = sessions.begin("link", Owner(student_id=ada))
        create_key("first", ["admin"])

    for path in ("/app/my-courses", "/enrollment/app/my-courses"):
        browser = FlaskClient(app, app.response_class)
        browser.set_cookie("__Secure-session", session_id, path="/", secure=True)
        response = browser.get(path)
        assert (response.status_code, 'href="/enrollment/app/timetable"' in response.text) == (200, True)
        assert 'src="/enrollment/app/assets/' in response.text
        out = browser.post("/app/logout", headers=ORIGIN)
        assert out.headers["Location"] == "/enrollment/app/login?signed_out=1"
        assert "Path=/enrollment;" in out.headers["Set-Cookie"]
        with app.app_context():
            session_id = sessions.begin("link", Owner(student_id=ada))


def test_people_have_the_same_rate_limits_as_with_a_token(make_app: Callable[..., Flask], student: Make) -> None:
    ada = student()
    app = make_app(ratelimit_reads="2 per minute")
    with app.app_context():
        create_key("first", ["admin"])
    browser = visit(app, Owner(student_id=ada))

    statuses = [browser.get("/app/history").status_code for _ in range(3)]

    assert statuses == [200, 200, 429]
