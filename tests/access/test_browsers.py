"""Security headers, and CORS: which other sites may call the API."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

PAGE = "https://portal.example.edu"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/healthz"),
        ("HEAD", "/healthz"),
        ("OPTIONS", "/courses"),
        ("GET", "/courses"),
        ("POST", "/students"),
        ("GET", "/nothing"),
        ("PUT", "/healthz"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("GET", "/problems"),
        ("GET", "/docs/swagger-ui.css"),
    ],
)
def test_every_response_has_the_headers(stranger: FlaskClient, method: str, path: str) -> None:
    headers = stranger.open(path, method=method, buffered=True).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert len(headers.getlist("Content-Security-Policy")) == 1


def test_data_is_not_for_shared_caches_and_runs_no_script(client: FlaskClient) -> None:
    headers = client.get("/courses").headers

    assert headers["Cache-Control"] == "private, no-cache"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_an_error_carries_them_too(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("course_management.repositories.resources.autocommit", lambda *_: 1 / 0)
    response = client.get("/courses")

    assert (response.status_code, response.headers["X-Content-Type-Options"]) == (500, "nosniff")


def test_no_cookie_is_ever_set(client: FlaskClient) -> None:
    for path in ("/courses", "/docs", "/nothing"):
        assert "Set-Cookie" not in client.get(path).headers


def test_other_sites_may_not_ask(client: FlaskClient) -> None:
    headers = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    for response in (client.get("/courses", headers=headers), client.options("/courses", headers=headers)):
        assert not [name for name, _ in response.headers if name.startswith("Access-Control")]


class TestASiteThatMay:
    @pytest.fixture
    def client(self, make_app: Callable[..., Flask]) -> FlaskClient:
        return make_app(cors_origins=f"{PAGE}, http://localhost:3000").test_client()

    def test_asks_first_and_needs_no_credentials_for_it(self, client: FlaskClient) -> None:
        response = client.options(
            "/students/1/enroll",
            headers={
                "Origin": PAGE,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization, content-type",
            },
        )
        assert response.status_code == 200
        assert response.headers["Access-Control-Allow-Origin"] == PAGE
        assert "POST" in response.headers["Access-Control-Allow-Methods"]
        assert "authorization" in response.headers["Access-Control-Allow-Headers"].lower()
        assert response.headers["Access-Control-Max-Age"] == "600"
        assert "Access-Control-Allow-Credentials" not in response.headers

    def test_may_read_what_it_needs(self, client: FlaskClient) -> None:
        response = client.get("/courses", headers={"Origin": PAGE})
        assert response.headers["Access-Control-Allow-Origin"] == PAGE
        assert {"ETag", "X-Request-ID"} <= set(response.headers["Access-Control-Expose-Headers"].split(", "))
        assert "Origin" in response.headers["Vary"]

    def test_errors_can_be_read_as_well(self, client: FlaskClient) -> None:
        response = client.get("/students/999", headers={"Origin": PAGE})
        assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (404, PAGE)

    def test_an_error_outside_the_handlers_can_be_read_as_well(
        self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("course_management.repositories.resources.autocommit", lambda *_: 1 / 0)
        response = client.get("/courses", headers={"Origin": PAGE})
        assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (500, PAGE)

    def test_a_shared_cache_keeps_the_responses_apart(self, client: FlaskClient) -> None:
        assert "Origin" in client.get("/courses").headers["Vary"]

    @pytest.mark.parametrize("origin", ["http://[::1]:3000", "http://[fe80::1]:3000"])
    def test_an_ipv6_address_is_an_origin_and_no_pattern(self, make_app: Callable[..., Flask], origin: str) -> None:
        client = make_app(cors_origins="http://[::1]:3000").test_client()
        permitted = client.get("/courses", headers={"Origin": origin}).headers.get("Access-Control-Allow-Origin")
        assert permitted == (origin if origin == "http://[::1]:3000" else None)

    @pytest.mark.parametrize(
        "origin", ["https://evil.example", f"{PAGE}.evil.example", "http://portal.example.edu", "null", f"{PAGE}:444"]
    )
    def test_others_still_may_not(self, client: FlaskClient, origin: str) -> None:
        response = client.get("/courses", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("host", ["localhost,localhost", "localhost, elsewhere.example", ""])
def test_a_request_has_exactly_one_host(client: FlaskClient, host: str) -> None:
    for path in ("/courses", "/healthz", "/docs"):
        response = client.get(path, environ_overrides={"HTTP_HOST": host})
        assert (response.status_code, response.get_json()["code"]) == (400, "bad_request")
    assert client.get("/courses", environ_overrides={"HTTP_HOST": "", "SERVER_PROTOCOL": "HTTP/1"}).status_code == 200
