"""While no authentication is configured, only who calls directly, on this machine, is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management import create_app
from course_management.access import keys
from course_management.api import gate

from .test_policy import CALLS


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    """The app as a newcomer starts it."""
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:8000", "127.9.9.9", "[::1]:1"])
@pytest.mark.parametrize("address", ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"])
def test_a_direct_local_client_needs_nothing(client: FlaskClient, host: str, address: str) -> None:
    answer = client.get("/courses", headers={"Host": host}, environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == 200


ELSEWHERE: list[dict[str, Any]] = [
    {"environ_base": {"REMOTE_ADDR": "192.0.2.1"}},
    {"environ_base": {"REMOTE_ADDR": "10.0.0.1"}},
    {"environ_base": {"REMOTE_ADDR": "2001:db8::1"}},
    {"environ_base": {"REMOTE_ADDR": "::ffff:192.0.2.1"}},
    {"environ_base": {"REMOTE_ADDR": ""}},
    {"environ_base": {"REMOTE_ADDR": "127.0.0.1.example.edu"}},
    {"headers": {"Host": "courses.example.edu"}},
    {"headers": {"Host": "localhost.example.edu"}},
    {"headers": {"Host": "127.0.0.1.example.edu"}},
    {"headers": {"Host": "127.0.0.1@example.edu"}},
    {"headers": {"Host": ""}},
    {"headers": {"Forwarded": "for=192.0.2.1"}},
    {"headers": {"Via": "1.1 proxy"}},
    {"headers": {"X-Forwarded-For": "127.0.0.1"}},
    {"headers": {"X-Forwarded-Host": "localhost"}},
    {"headers": {"X-Forwarded-Proto": "https"}},
    {"headers": {"X-Forwarded-Anything": ""}},
]


@pytest.mark.parametrize("request_of", ELSEWHERE, ids=str)
def test_everybody_else_is_refused(client: FlaskClient, request_of: dict[str, Any]) -> None:
    answer = client.get("/courses", **request_of)

    assert (answer.status_code, answer.get_json()["code"]) == (403, "protected_mode")
    assert "course-management keys create" in answer.get_json()["detail"]


@pytest.mark.parametrize("route", CALLS)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_at_every_address(client: FlaskClient, route: str, method: str) -> None:
    _, path, _ = CALLS[route]
    answer = client.open(path.format(student=1, course=1), method=method, headers={"X-Forwarded-For": "192.0.2.1"})

    assert answer.status_code == 403


def test_where_there_is_nothing_as_well(client: FlaskClient) -> None:
    assert client.get("/nothing", headers={"Via": "1.1 proxy"}).status_code == 403


def test_the_first_key_ends_it_for_good(
    app: Flask, client: FlaskClient, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "FRESH_S", 0)
    assert client.get("/courses").status_code == 200

    with app.app_context():
        key = keys.create("portal", ["courses:read"])

    assert client.get("/courses").status_code == 401
    headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": "192.0.2.1", "Host": "courses.example.edu"}
    assert client.get("/courses", headers=headers).status_code == 200
    sql("UPDATE api_keys SET revoked_at = expires_at, expires_at = '2020-01-01 00:00:00+00'")
    assert client.get("/courses").status_code == 401


def test_whether_there_are_keys_is_not_asked_for_each_request(client: FlaskClient, statements: list[str]) -> None:
    for _ in range(5):
        assert client.get("/courses").status_code == 200
    assert sum("api_keys" in each for each in statements) == 1


def test_health_needs_no_database_to_know_where_it_is() -> None:
    client = create_app({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "LOG_LEVEL": "error"}).test_client()

    assert client.get("/healthz").status_code == 200
    assert client.get("/healthz", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 200
    assert client.get("/courses").status_code == 503
    assert client.get("/courses", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 503
