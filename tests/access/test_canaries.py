"""Nothing personal and no secret reaches the log or an error: a canary goes through every field, at debug level."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from course_management.services import people

from ..support.keys import create_key
from .issuer import LocalIssuer
from .test_policy import MADE, ROWS, send

CANARY = "Tweety"
BAD_VALUES: list[Any] = [
    CANARY,
    f"{CANARY}@example.edu",
    f"{CANARY}\x00",
    f"{CANARY}@",
    CANARY * 100,
    [CANARY],
    {CANARY: CANARY},
    {"course_ids": CANARY},
    None,
    -1,
]
BODIES = {
    "/students": ("name", "email"),
    "/courses": ("code", "title", "capacity", "waitlist_capacity"),
    "/students/1/enroll": ("course_ids", "course_id", "waitlist"),
}


@pytest.fixture
def output() -> StringIO:
    return StringIO()


@pytest.fixture
def app(
    make_app: Callable[..., Flask], session_issuer: LocalIssuer, output: StringIO, monkeypatch: pytest.MonkeyPatch
) -> Flask:
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", output)
        return make_app(log_level="debug", log_format="json", **session_issuer.settings)


@pytest.fixture
def known(client: FlaskClient) -> FlaskClient:
    """Return a client with all permissions, and one student whose every field is a canary."""
    body = {"name": f"{CANARY} Bird", "email": f"{CANARY}@example.edu"}
    assert client.post("/students", json=body).status_code == 201
    assert client.post("/courses", json={"code": "CS1", "title": "Programming", "capacity": 0}).status_code == 201
    return client


@pytest.fixture
def logged(output: StringIO, capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Return everything that was written, by the log or past it."""
    return lambda: output.getvalue() + "".join(capfd.readouterr())


def with_field(known: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    return {**known, name: value}


GOOD: dict[str, dict[str, Any]] = {
    "/students": {"name": "Ada", "email": "ada@example.edu"},
    "/courses": {"code": "CS2", "title": "Logic"},
    "/students/1/enroll": {"course_ids": [1]},
}


@pytest.mark.parametrize(("path", "field"), [(path, field) for path, fields in BODIES.items() for field in fields])
@pytest.mark.parametrize("value", BAD_VALUES, ids=lambda value: str(value)[:20])
def test_a_field(known: FlaskClient, logged: Callable[[], str], path: str, field: str, value: Any) -> None:
    for method in ("POST", "PUT"):
        response = known.open(path, method=method, json=with_field(GOOD[path], field, value))
        if response.status_code >= 400 and not isinstance(value, dict):  # a pointer names the client's own fields
            assert CANARY.lower() not in response.text.lower()

    text = logged()
    assert '"request"' in text
    assert CANARY.lower() not in text.lower()


def test_fields_of_people_accounts_and_keys(known: FlaskClient, logged: Callable[[], str]) -> None:
    person = known.post("/people", json={"name": f"{CANARY} Bird"}).headers["Location"]
    account = {"issuer": "https://login.example", "subject": f"{CANARY}@example.edu"}
    good: dict[str, dict[str, Any]] = {
        "/people": {"name": CANARY, "given_name": CANARY, "family_name": CANARY, "email": f"{CANARY}@example.edu"},
        person: {"external_id": CANARY, "student_id": 1, "roles": [], "advises": []},
        f"{person}/accounts": account,
        "/students/1/accounts": account,
        "/keys": {"name": "portal", "scopes": ["admin"], "expires_at": None},
    }
    refused = 0
    for path, body in good.items():
        for field in body:
            for value in (body[field], *BAD_VALUES):
                method = "PATCH" if path == person else "POST"
                response = known.open(path, method=method, json=with_field(body, field, value))
                assert response.status_code < 500, (path, field, value)
                if response.status_code >= 400 and not isinstance(value, dict):
                    refused += 1
                    assert CANARY.lower() not in response.text.lower()
                if "key" in (found := response.get_json()):
                    assert found["key"][12:] not in logged()

    assert refused > len(BAD_VALUES)
    assert CANARY.lower() not in logged().lower()


@pytest.mark.parametrize(
    "request_of",
    [
        {"path": f"/students/{CANARY}"},
        {"path": f"/{CANARY}/courses"},
        {"path": "/students", "query_string": {"after": CANARY}},
        {"path": "/students", "query_string": {"limit": CANARY}},
        {"path": "/students", "query_string": {CANARY: CANARY}},
        {"path": "/courses/1/students", "query_string": {"as_of": CANARY}},
        {"path": "/students/1/courses", "query_string": {"status": CANARY}},
        {"path": "/students", "headers": {"User-Agent": CANARY, "Cookie": CANARY, "Referer": CANARY}},
        {"path": "/students", "headers": {"Authorization": f"Bearer {CANARY}"}},
        {"path": "/students", "headers": {"Authorization": f"Bearer cmk_{CANARY}"}},
        {"path": "/students", "headers": {"Authorization": f"Basic {CANARY}"}},
        {"path": "/students", "headers": {"If-None-Match": CANARY}},
        {"path": "/students", "headers": {"X-Request-ID": f"{CANARY} with a space"}},
        {"path": "/students", "headers": {"X-Forwarded-For": CANARY, "Host": f"{CANARY}.example"}},
        {"path": "/students/1", "method": "PATCH", "headers": {"If-Match": CANARY}, "json": {"name": CANARY}},
        {"path": "/students", "method": "POST", "data": f'{{"name": "{CANARY}', "content_type": "application/json"},
        {"path": "/students", "method": "POST", "data": CANARY, "content_type": f"text/{CANARY}"},
        {"path": "/students", "method": "POST", "json": {"name": "Ada", "email": f"{CANARY}@example.edu"}},
    ],
    ids=str,
)
def test_a_part_of_a_request(known: FlaskClient, logged: Callable[[], str], request_of: dict[str, Any]) -> None:
    known.open(**request_of)

    text = logged()
    assert '"request"' in text
    assert CANARY.lower() not in text.lower()


def test_every_route_with_a_student_who_is_one(known: FlaskClient, logged: Callable[[], str]) -> None:
    for request in ROWS:
        send(known, request, dict.fromkeys(["s", "c", "h", "x", "a", *MADE], 1), {})

    assert CANARY.lower() not in logged().lower()


def test_the_texts_of_exceptions(
    known: FlaskClient, logged: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (ValueError(CANARY), OperationalError(f"SELECT '{CANARY}'", {"name": CANARY}, Exception(CANARY))):

        def fail(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr("course_management.repositories.resources.autocommit", fail)
        response = known.get("/courses")
        assert response.status_code in {500, 503}
        assert CANARY not in response.text
    assert CANARY not in logged()


def test_callers(app: Flask, logged: Callable[[], str], session_issuer: LocalIssuer) -> None:
    """Neither a key's secret nor a subject, which may be a name, is logged; nor does the ledger get the subject."""
    with app.app_context():
        key = create_key("portal", ["admin"])
        people.appoint(session_issuer.name, f"{CANARY}@example.edu", "registrar")
    client = app.test_client()
    token = session_issuer.token(f"{CANARY}@example.edu")
    for credential in (key, token, token[:-5], key[:-5], session_issuer.token(CANARY)):
        headers = {"Authorization": f"Bearer {credential}"}
        client.post("/students", json={"name": "Ada", "email": "ada@example.edu"}, headers=headers)
        client.post("/courses", json={"code": "CS1", "title": "Logic"}, headers=headers)
        client.post("/students/1/enroll", json={"course_ids": [1]}, headers=headers)
        client.delete("/students/1/unenroll", json={"course_ids": [1]}, headers=headers)

    text = logged()
    for secret in (CANARY.lower(), key[12:40].lower(), token[-40:].lower(), token[:40].lower()):
        assert secret not in text.lower()
    events = client.get("/students/1/history", headers={"Authorization": f"Bearer {key}"}).get_json()
    assert CANARY.lower() not in json.dumps(events).lower()


def test_the_canary_sings_where_it_is_let(known: FlaskClient, logged: Callable[[], str]) -> None:
    """The control: what is written is seen."""
    known.get("/courses", headers={"X-Request-ID": CANARY})  # which is logged on purpose
    assert CANARY in logged()
