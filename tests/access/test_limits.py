"""Rate limits per caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ..support.fixture_types import Sql
from ..support.keys import create_key
from .issuer import LocalIssuer


@pytest.fixture
def app(make_app: Callable[..., Flask], session_issuer: LocalIssuer) -> Flask:
    return make_app(
        ratelimit_reads="3 per hour",
        ratelimit_writes="1 per hour",
        ratelimit_service_writes="2 per hour",
        **session_issuer.settings,
    )


@pytest.fixture
def ada(sql: Sql, person: Any) -> dict[str, str]:
    sql("INSERT INTO students (name, email, created_at) VALUES ('Ada', 'ada@example.edu', '2026-01-01 00:00:00+00')")
    return dict(person("student", 1))


def test_reads_and_writes_are_counted_separately(stranger: FlaskClient, ada: dict[str, str]) -> None:
    leave = {"course_ids": [1]}

    assert [stranger.get("/courses", headers=ada).status_code for _ in range(5)] == [200] * 3 + [429] * 2
    assert stranger.delete("/students/1/unenroll", json=leave, headers=ada).status_code == 404
    assert stranger.delete("/students/1/unenroll", json=leave, headers=ada).status_code == 429


def test_a_response_429_says_how_long_to_wait(stranger: FlaskClient, ada: dict[str, str]) -> None:
    for _ in range(4):
        response = stranger.get("/courses", headers=ada)

    assert response.get_json()["code"] == "too_many_requests"
    assert response.get_json()["detail"] == "You have sent more requests than 3 per 1 hour."
    assert 0 < int(response.headers["Retry-After"]) <= 3600


def test_each_caller_is_counted_separately(stranger: FlaskClient, ada: dict[str, str], person: Any) -> None:
    for _ in range(4):
        stranger.get("/courses", headers=ada)

    assert stranger.get("/courses", headers=person("registrar")).status_code == 200


def test_all_keys_of_a_service_share_one_limit(app: Flask, stranger: FlaskClient) -> None:
    with app.app_context():
        both = [create_key("portal", ["courses:write"]) for _ in range(2)]
    found = [
        stranger.post("/courses", json={}, headers={"Authorization": f"Bearer {key}"}).status_code
        for key in (*both, *both)
    ]
    assert found == [422, 422, 429, 429]


def test_public_routes_have_no_limit(stranger: FlaskClient, ada: dict[str, str]) -> None:
    assert {stranger.get("/healthz", headers=ada).status_code for _ in range(10)} == {200}


def test_protected_mode_has_no_limit(make_app: Callable[..., Flask]) -> None:
    client = make_app(ratelimit_reads="1 per hour").test_client()
    assert {client.get("/courses").status_code for _ in range(5)} == {200}
