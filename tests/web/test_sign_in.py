"""Signing in and out: at an issuer, with a link, and not at all in protected mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from course_management.access import issuer_keys, sessions, sign_in
from course_management.access.sessions import Owner
from course_management.database.types import utcnow
from course_management.models import sessions as page_sessions
from course_management.models import sign_in_links
from course_management.services import people

from ..support.databases import PATIENCE_S
from ..support.fixture_types import Make
from .issuer import SignInIssuer, running
from .school import ORIGIN, visit

Sql = Callable[..., list[Any]]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine, the first sign-in of a test waits until the issuer's keys are there."""
    monkeypatch.setattr(issuer_keys, "WAIT_S", PATIENCE_S)


@pytest.fixture
def issuer() -> Iterator[SignInIssuer]:
    with running() as found:
        yield found


@pytest.fixture
def app(make_app: Callable[..., Flask], issuer: SignInIssuer) -> Flask:
    return make_app(threads=5, **issuer.settings)


@pytest.fixture
def ada(app: Flask, student: Make, issuer: SignInIssuer) -> int:
    """Return a student who can sign in at the issuer as `ada`."""
    found = student()
    with app.app_context():
        people.link_student(issuer.name, "ada", found)
    return found


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    return FlaskClient(app, app.response_class)


def back(browser: FlaskClient, issuer: SignInIssuer, subject: str = "ada", **changed: str) -> Any:
    """Begin a sign-in, sign in at the issuer, and come back with what it says."""
    begun = browser.get("/app/login/start?next=/history")
    assert begun.status_code == 303
    query = issuer.authorize(begun.headers["Location"], subject)
    return browser.get("/app/login/back", query_string={**query, **changed})


def session_of(browser: FlaskClient) -> str | None:
    cookie = browser.get_cookie("__Host-session")
    return cookie.value if cookie else None


# --- at the issuer ----------------------------------------------------------------------------------------


def test_a_person_who_has_signed_in_at_the_issuer_goes_on_where_the_sign_in_began(
    browser: FlaskClient, issuer: SignInIssuer, ada: int
) -> None:
    first = browser.get("/app/history")
    response = back(browser, issuer)

    assert first.headers["Location"] == "/app/login?next=%2Fhistory"
    assert (response.status_code, response.headers["Location"]) == (303, "/app/history")
    cookie = response.headers.getlist("Set-Cookie")[0]
    assert all(each in cookie for each in ("__Host-session=", "Secure", "HttpOnly", "Path=/;", "SameSite=Lax")), cookie
    assert "You are signed in." in browser.get("/app/history").text
    assert "You are signed in." not in browser.get("/app/history").text
    assert ada


def test_a_sign_in_that_began_elsewhere_is_a_page_and_nobody_is_signed_in(
    app: Flask, browser: FlaskClient, issuer: SignInIssuer, ada: int
) -> None:
    others = FlaskClient(app, app.response_class)
    begun = others.get("/app/login/start")
    query = issuer.authorize(begun.headers["Location"], "ada")

    without = browser.get("/app/login/back", query_string=query)  # no sign-in began in this browser
    changed = back(browser, issuer, state="another")
    refused = browser.get("/app/login/back?error=access_denied")

    for response in (without, changed, refused):
        assert (response.status_code, session_of(browser)) == (400, None)
        assert "Sign-in failed" in response.text
    assert ada


@pytest.mark.parametrize(
    "changed",
    [{"aud": "course-management"}, {"nonce": "another"}, {"iss": "https://evil.example"}, {"exp": 1}, {"nonce": None}],
    ids=str,
)
def test_an_id_token_that_is_not_for_this_sign_in_is_refused(
    browser: FlaskClient, issuer: SignInIssuer, ada: int, changed: dict[str, Any]
) -> None:
    issuer.changed = changed

    response = back(browser, issuer)

    assert (response.status_code, session_of(browser)) == (400, None)
    assert ada


def test_a_code_of_another_sign_in_is_refused_by_the_verifier(
    app: Flask, browser: FlaskClient, issuer: SignInIssuer, ada: int
) -> None:
    stolen = issuer.authorize(FlaskClient(app, app.response_class).get("/app/login/start").headers["Location"], "ada")

    response = back(browser, issuer, code=stolen["code"])

    assert (response.status_code, session_of(browser)) == (400, None)
    assert ada


def test_a_response_that_names_another_issuer_or_has_no_code_is_refused(
    browser: FlaskClient, issuer: SignInIssuer, ada: int
) -> None:
    other = back(browser, issuer, iss="https://evil.example")
    begun = issuer.authorize(browser.get("/app/login/start").headers["Location"], "ada")
    canceled = browser.get("/app/login/back", query_string={"state": begun["state"], "error": "access_denied"})

    assert [(response.status_code, session_of(browser)) for response in (other, canceled)] == [(400, None)] * 2
    assert ada


def test_an_issuer_without_an_address_to_sign_out_offers_none(
    browser: FlaskClient, issuer: SignInIssuer, ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = {name: value for name, value in issuer.document().items() if name != "end_session_endpoint"}
    monkeypatch.setattr(issuer, "document", lambda: published)
    back(browser, issuer)

    out = browser.post("/app/logout", headers=ORIGIN)

    assert "Sign out there, too" not in browser.get(out.headers["Location"]).text
    assert ada


def test_a_person_without_an_account_is_told_whom_to_ask(browser: FlaskClient, issuer: SignInIssuer) -> None:
    response = back(browser, issuer, "stranger")

    assert (response.status_code, session_of(browser)) == (403, None)
    assert "Ask the registrar" in response.text


def test_an_issuer_that_is_down_is_a_page(browser: FlaskClient, issuer: SignInIssuer) -> None:
    issuer.is_down = True

    response = browser.get("/app/login/start")

    assert (response.status_code, response.mimetype, response.headers["Retry-After"]) == (503, "text/html", "10")


def test_an_issuer_that_takes_the_secret_in_the_form_gets_it_there(
    browser: FlaskClient, issuer: SignInIssuer, ada: int
) -> None:
    issuer.client_method = "client_secret_post"

    response = back(browser, issuer)

    assert (response.status_code, response.headers["Location"]) == (303, "/app/history")
    assert ada


def test_an_issuer_that_goes_down_during_a_sign_in_is_a_page(
    browser: FlaskClient, issuer: SignInIssuer, ada: int
) -> None:
    query = issuer.authorize(browser.get("/app/login/start").headers["Location"], "ada")
    issuer.is_down = True

    response = browser.get("/app/login/back", query_string=query)

    assert (response.status_code, response.mimetype, session_of(browser)) == (503, "text/html", None)
    assert ada


def test_addresses_that_another_issuer_publishes_are_not_used(
    browser: FlaskClient, issuer: SignInIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = {**issuer.document(), "issuer": "https://evil.example"}
    monkeypatch.setattr(issuer, "document", lambda: published)

    assert browser.get("/app/login/start").status_code == 503


def test_a_sign_in_while_all_calls_to_the_issuer_hang_is_refused_soon(
    app: Flask, browser: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "TURN_S", 0)
    with app.app_context():
        turns = app.extensions["sign_in"]()._turns  # noqa: SLF001 - instead of four threads that hang
    while turns.acquire(blocking=False):
        pass

    response = browser.get("/app/login/start")

    assert (response.status_code, "Too many people are signing in" in response.text) == (503, True)


def test_the_sign_in_leads_to_no_other_site(browser: FlaskClient, issuer: SignInIssuer, ada: int) -> None:
    for path in ("//evil.example", "/\\evil.example", "https://evil.example", "/%0d%0aX: 1"):
        begun = browser.get("/app/login/start", query_string={"next": path})
        query = issuer.authorize(begun.headers["Location"], "ada")
        response = browser.get("/app/login/back", query_string=query)

        assert response.headers["Location"].startswith("/app/"), path
    assert ada


def test_under_a_path_prefix_the_issuer_sends_the_browser_back_there(
    make_app: Callable[..., Flask], issuer: SignInIssuer
) -> None:
    app = make_app(threads=5, **{**issuer.settings, "base_url": "http://localhost/enrollment"})

    begun = FlaskClient(app, app.response_class).get("/enrollment/app/login/start?next=/history")

    query = parse_qs(urlsplit(begun.headers["Location"]).query)
    assert query["redirect_uri"] == ["http://localhost/enrollment/app/login/back"]
    assert "__Secure-sign-in=" in begun.headers["Set-Cookie"]
    assert "Path=/enrollment;" in begun.headers["Set-Cookie"]


# --- sessions ---------------------------------------------------------------------------------------------


def test_signing_in_again_ends_the_session_before(
    browser: FlaskClient, issuer: SignInIssuer, ada: int, sql: Sql
) -> None:
    back(browser, issuer)
    first = session_of(browser)
    back(browser, issuer)

    assert session_of(browser) not in {first, None}
    assert sql("SELECT count(*) FROM sessions") == [(1,)]
    assert ada


def test_signing_out_ends_the_session_also_for_a_copy_of_the_cookie(
    app: Flask, browser: FlaskClient, issuer: SignInIssuer, ada: int
) -> None:
    back(browser, issuer)
    copy = FlaskClient(app, app.response_class)
    copy.set_cookie("__Host-session", session_of(browser) or "", secure=True)

    out = browser.post("/app/logout", headers=ORIGIN)

    assert (out.status_code, session_of(browser)) == (303, None)
    assert copy.get("/app/history").status_code == 303
    assert f"{issuer.name}/end" in browser.get("/app/login?signed_out=1").text
    assert ada


@pytest.mark.parametrize(
    ("column", "seconds", "lives"),
    [("used_at", -1700, True), ("used_at", -1900, False), ("expires_at", 100, True), ("expires_at", -1, False)],
)
def test_a_session_ends_after_half_an_hour_without_use_and_after_twelve_hours(
    app: Flask, ada: int, engine: Any, column: str, seconds: int, lives: bool
) -> None:
    browser = visit(app, Owner(student_id=ada))
    with engine.begin() as connection:
        connection.execute(update(page_sessions).values({column: utcnow() + timedelta(seconds=seconds)}))

    assert browser.get("/app/history").status_code == (200 if lives else 303)


def test_a_refresh_of_seats_does_not_keep_a_session_alive(
    app: Flask, ada: int, course: Make, sql: Sql, engine: Any
) -> None:
    browser, programming = visit(app, Owner(student_id=ada)), course()
    with engine.begin() as connection:
        connection.execute(update(page_sessions).values(used_at=utcnow() - timedelta(minutes=20)))
    before = sql("SELECT used_at FROM sessions")

    browser.get(f"/app/seats?ids={programming}", headers={"HX-Request": "true"})
    refreshed = sql("SELECT used_at FROM sessions")
    browser.get("/app/history")

    assert refreshed == before != sql("SELECT used_at FROM sessions")


def test_a_session_ends_with_the_account_by_which_it_began(
    app: Flask, browser: FlaskClient, issuer: SignInIssuer, ada: int
) -> None:
    back(browser, issuer)
    with app.app_context():
        people.delete_account(issuer.name, "ada")

    assert browser.get("/app/history").status_code == 303
    assert ada


def test_the_database_does_not_know_what_signs_somebody_in(app: Flask, ada: int, sql: Sql) -> None:
    session_id = visit(app, Owner(student_id=ada)).get_cookie("__Host-session")
    with app.app_context():
        code = sessions.create_link(Owner(student_id=ada))

    stored = str(sql("SELECT * FROM sessions")) + str(sql("SELECT * FROM sign_in_links"))
    assert session_id is not None
    assert session_id.value not in stored
    assert code not in stored


def test_the_api_takes_no_cookie_and_pages_take_no_token(app: Flask, issuer: SignInIssuer, ada: int) -> None:
    browser = visit(app, Owner(student_id=ada))
    stranger = FlaskClient(app, app.response_class)

    assert browser.get(f"/students/{ada}").status_code == 401
    token = {"Authorization": f"Bearer {issuer.token('ada')}"}
    assert stranger.get("/app/history", headers=token).status_code == 303
    assert stranger.get(f"/students/{ada}", headers=token).status_code == 200


# --- links ------------------------------------------------------------------------------------------------


def test_a_link_signs_in_once_and_only_with_a_form(app: Flask, browser: FlaskClient, ada: int) -> None:
    with app.app_context():
        code = sessions.create_link(Owner(student_id=ada))

    shown = browser.get(f"/app/sign-in/{code}")
    used = browser.post(f"/app/sign-in/{code}", headers=ORIGIN)
    again = FlaskClient(app, app.response_class).post(f"/app/sign-in/{code}", headers=ORIGIN)

    assert (shown.status_code, used.status_code, again.status_code) == (200, 303, 400)
    assert browser.get("/app/history").status_code == 200


def test_a_link_expires(app: Flask, browser: FlaskClient, ada: int, engine: Any) -> None:
    with app.app_context():
        code = sessions.create_link(Owner(student_id=ada))
    with engine.begin() as connection:
        connection.execute(update(sign_in_links).values(expires_at=utcnow() - timedelta(seconds=1)))

    assert browser.post(f"/app/sign-in/{code}", headers=ORIGIN).status_code == 400


# --- forms of other sites ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Origin": "http://localhost"}, 303),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
    ids=str,
)
def test_a_form_of_another_site_does_nothing(
    app: Flask, ada: int, course: Make, held: Any, headers: dict[str, str], status: int
) -> None:
    browser, programming = visit(app, Owner(student_id=ada)), course()

    response = browser.post(f"/app/courses/{programming}/enroll", headers=headers)

    assert (response.status_code, held(ada)) == (status, {programming: "enrolled"} if status == 303 else {})
