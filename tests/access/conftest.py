"""A campus with authentication: an issuer, a few people, a key of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.access import issuer_keys
from course_management.services import people

from ..support.databases import PATIENCE_S
from ..support.keys import create_key
from .issuer import LocalIssuer, running


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine, the first token of a test waits until the issuer's keys are there."""
    monkeypatch.setattr(issuer_keys, "WAIT_S", PATIENCE_S)


@pytest.fixture(scope="session")
def session_issuer() -> Iterator[LocalIssuer]:
    with running() as issuer:
        yield issuer


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    """Run an issuer that the test may change."""
    with running() as found:
        yield found


@pytest.fixture
def app(make_app: Callable[..., Flask], session_issuer: LocalIssuer) -> Flask:
    """Return the app, with authentication."""
    return make_app(threads=5, **session_issuer.settings)


@pytest.fixture
def make_key(app: Flask) -> Callable[..., str]:
    """Makes a key with these scopes."""
    made = 0

    def make(*scopes: str, name: str | None = None) -> str:
        nonlocal made
        made += 1
        with app.app_context():
            return create_key(name or f"service-{made}", scopes)

    return make


@pytest.fixture
def client(app: Flask, make_key: Callable[..., str]) -> FlaskClient:
    """Return a client with all permissions, for the fixtures that create students and courses."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {make_key('admin', name='test')}"
    return client


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    """Return a client that sends only the credentials of the test."""
    return app.test_client()


@pytest.fixture
def person(app: Flask, client: FlaskClient, session_issuer: LocalIssuer) -> Callable[..., dict[str, str]]:
    """Makes an account and a token for it; the headers to send. `students` of an instructor are courses."""
    made = 0

    def instruct(subject: str, *courses: int) -> None:
        found = client.post("/people", json={"name": "Emmy Noether"}).get_json()["id"]
        body = {"issuer": session_issuer.name, "subject": subject}
        assert client.post(f"/people/{found}/accounts", json=body).status_code == 201
        for each in courses:
            path = f"/courses/{each}/instructors"
            assert client.put(path, json=[*client.get(path).get_json(), found]).status_code == 200

    def make(role: str, *students: int) -> dict[str, str]:
        nonlocal made
        made += 1
        subject = f"{role}-{made}"
        with app.app_context():
            if role == "instructor":
                instruct(subject, *students)
            elif role == "student":
                people.link_student(session_issuer.name, subject, students[0])
            else:
                people.appoint(session_issuer.name, subject, role)
                for each in students:
                    people.advise(session_issuer.name, subject, each)
        return {"Authorization": f"Bearer {session_issuer.token(subject)}"}

    return make


@pytest.fixture
def bearer(make_key: Callable[..., str]) -> Callable[..., dict[str, str]]:
    """Makes a key with these scopes; the headers to send."""

    def make(*scopes: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {make_key(*scopes)}"}

    return make


def as_if_absent(response: Any) -> tuple[int, Any, Sequence[tuple[str, str]]]:
    """Return all of a response except the address of the request and the id of the request."""
    body = response.get_json()
    return (
        response.status_code,
        {**body, "instance": None, "request_id": None},
        [(name, value) for name, value in response.headers if name not in {"X-Request-ID", "Content-Length"}],
    )
