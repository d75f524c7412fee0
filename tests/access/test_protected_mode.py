"""While no authentication is configured, only direct callers on this machine are served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from course_management import create_app
from course_management.access import authentication, keys
from course_management.errors import DatabaseUnavailable

from ..support.fixture_types import Sql
from ..support.keys import create_key
from .test_policy import ROWS


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    """Return the app with the settings of a new installation."""
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:8000", "127.9.9.9", "[::1]:1"])
@pytest.mark.parametrize("address", ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"])
def test_a_direct_local_client_needs_nothing(client: FlaskClient, host: str, address: str) -> None:
    response = client.get("/courses", headers={"Host": host}, environ_base={"REMOTE_ADDR": address})
    assert response.status_code == 200


OF_PROXIES = {
    "Forwarded": "for=192.0.2.1",
    "Via": "1.1 proxy",
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Host": "localhost",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Anything": "",
    "X-Real-IP": "127.0.0.1",
    "X-Client-IP": "192.0.2.1",
    "X-Cluster-Client-IP": "192.0.2.1",
    "Client-IP": "192.0.2.1",
    "True-Client-IP": "192.0.2.1",
    "CF-Connecting-IP": "192.0.2.1",
    "CF-Ray": "230b030023ae2822-SJC",
    "X-ProxyUser-Ip": "192.0.2.1",
    "Proxy-Client-IP": "192.0.2.1",
    "WL-Proxy-Client-IP": "192.0.2.1",
    "Fastly-Client-IP": "192.0.2.1",
    "Fly-Client-IP": "192.0.2.1",
    "X-Azure-ClientIP": "192.0.2.1",
    "X-Appengine-User-IP": "192.0.2.1",
    "X-Envoy-External-Address": "192.0.2.1",
    "X-Envoy-Expected-Rq-Timeout-Ms": "15000",
    "X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678",
    "X-Amz-Cf-Id": "abc",
    "X-Arr-Log-Id": "abc",
    "X-Original-URL": "/courses",
    "X-Original-Host": "courses.example.edu",
    "X-Rewrite-URL": "/courses",
    "X-NginX-Proxy": "true",
    "X-Scheme": "https",
    "Front-End-Https": "on",
    "Surrogate-Capability": 'abc="Surrogate/1.0"',
    "CDN-Loop": "cdn",
    "Akamai-Origin-Hop": "1",
    "X-Varnish": "32770",
    "X-Vercel-Id": "abc",
    "X-Goog-Authenticated-User-Email": "ada@example.edu",
    "X-MS-Client-Principal": "ada",
    "X-Auth-Request-User": "ada",
    "Tailscale-User-Login": "ada@example.edu",
    "Proxy-Connection": "keep-alive",
    "Max-Forwards": "10",
}

OF_CLIENTS = {
    "User-Agent": "curl/8.5.0",
    "Accept": "*/*",
    "Accept-Encoding": "gzip",
    "Cache-Control": "no-cache",
    "Connection": "keep-alive",
    "Cookie": "theme=dark",
    "Referer": "http://localhost:8000/docs",
    "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "X-Request-ID": "abc",
    "X-Requested-With": "XMLHttpRequest",
    "X-Client-Version": "1",
    "DNT": "1",
    "Sec-CH-UA": "Chromium",
    "Sec-Fetch-Site": "cross-site",
    "Origin": "https://evil.example",
}


@pytest.mark.parametrize("header", OF_CLIENTS)
def test_headers_of_clients_are_not_taken_for_a_proxy(client: FlaskClient, header: str) -> None:
    assert client.get("/courses", headers={header: OF_CLIENTS[header]}).status_code == 200


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
    {"headers": {"Host": "[::1%25example.edu]"}},
    {"headers": {"Host": "[::1]example.edu"}},
    {"headers": {"Host": ""}},
    {"environ_overrides": {"SERVER_PROTOCOL": "HTTP/1.0"}},
    {"environ_overrides": {"SERVER_PROTOCOL": "HTTP/0.9"}},
    {"environ_overrides": {"SERVER_PROTOCOL": ""}},
    *({"headers": {name: value}} for name, value in OF_PROXIES.items()),
]


@pytest.mark.parametrize("request_of", ELSEWHERE, ids=str)
def test_all_other_callers_are_refused(client: FlaskClient, request_of: dict[str, Any]) -> None:
    response = client.get("/courses", **request_of)

    assert (response.status_code, response.get_json()["code"]) == (403, "protected_mode")
    assert "course-management keys create" in response.get_json()["detail"]


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_at_every_address(client: FlaskClient, method: str) -> None:
    for path in {request.split()[1].replace("{s}", "1").replace("{c}", "1") for request in ROWS}:
        response = client.open(path, method=method, headers={"X-Forwarded-For": "192.0.2.1"})

        assert response.status_code == 403, path


def test_where_there_is_nothing_as_well(client: FlaskClient) -> None:
    assert client.get("/nothing", headers={"Via": "1.1 proxy"}).status_code == 403


def test_the_first_key_ends_it_for_good(
    app: Flask, client: FlaskClient, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "FRESH_S", 0)
    assert client.get("/courses").status_code == 200

    with app.app_context():
        key = create_key("portal", ["courses:read"])

    assert client.get("/courses").status_code == 401
    headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": "192.0.2.1", "Host": "courses.example.edu"}
    assert client.get("/courses", headers=headers).status_code == 200
    sql("UPDATE api_keys SET revoked_at = expires_at, expires_at = '2020-01-01 00:00:00+00'")
    assert client.get("/courses").status_code == 401


def test_the_existence_of_keys_is_not_queried_for_each_request(client: FlaskClient, statements: list[str]) -> None:
    for _ in range(5):
        assert client.get("/courses").status_code == 200
    assert sum("api_keys" in each for each in statements) == 1


OURS, OTHER, LISTED = "http://localhost", "https://evil.example", "http://localhost:3000"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Origin": OURS}, 201),
        ({"Origin": OURS.upper()}, 201),
        ({"Origin": OURS, "Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
        ({"Origin": LISTED}, 201),
        ({"Origin": LISTED, "Sec-Fetch-Site": "same-site"}, 201),
        ({"Origin": OTHER}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": f"{OURS}:9000"}, 403),
        ({"Origin": "https://localhost"}, 403),
        ({"Origin": f"{OURS}.evil.example"}, 403),
        ({"Origin": OTHER, "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://courses.example.edu", "Sec-Fetch-Site": "same-origin"}, 403),  # through a proxy
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": OURS, "Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": ""}, 403),
    ],
)
def test_a_page_of_another_site_changes_nothing(
    make_app: Callable[..., Flask], headers: dict[str, str], status: int
) -> None:
    """A browser on this machine sends what any page tells it to."""
    client = make_app(cors_origins=LISTED).test_client()
    response = client.post("/courses", json={"code": "CS1", "title": "Programming"}, headers=headers)

    assert response.status_code == status
    if status == 403:
        assert response.get_json()["code"] == "protected_mode"
        assert "another site" in response.get_json()["detail"]
        assert client.get("/courses").get_json()["items"] == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_by_no_method(client: FlaskClient, method: str) -> None:
    response = client.open("/students/1", method=method, headers={"Origin": OTHER})
    assert (response.status_code, response.get_json()["code"]) == (403, "protected_mode")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_what_a_form_can_send_is_not_read(client: FlaskClient, kind: str | None) -> None:
    """Old browsers send neither Origin nor Sec-Fetch-Site; a form still cannot send JSON."""
    response = client.post("/courses", data=b'{"code": "CS1", "title": "Programming"}', content_type=kind)
    assert response.status_code == 415


def test_with_a_key_it_does_not_matter_which_page_sends_it(
    make_app: Callable[..., Flask],
) -> None:
    """No browser adds a key to a request by its own."""
    app = make_app()
    with app.app_context():
        key = create_key("portal", ["courses:write"])
    headers = {"Authorization": f"Bearer {key}", "Origin": OTHER, "Sec-Fetch-Site": "cross-site"}
    body = {"code": "CS1", "title": "Programming"}
    assert app.test_client().post("/courses", json=body, headers=headers).status_code == 201


@pytest.mark.parametrize("away", [OperationalError("SELECT", {}, Exception()), DatabaseUnavailable()])
def test_while_it_is_unknown_whether_there_are_keys_nothing_is_served(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, away: Exception
) -> None:
    def exist() -> bool:
        raise away

    monkeypatch.setattr(authentication, "FRESH_S", 0)
    assert client.get("/courses").status_code == 200
    monkeypatch.setattr(keys, "any_exist", exist)
    elsewhere = {"REMOTE_ADDR": "192.0.2.1"}

    assert [client.get("/courses", environ_base=base).status_code for base in ({}, elsewhere)] == [503, 503]
    assert [client.get("/healthz", environ_base=base).status_code for base in ({}, elsewhere)] == [200, 200]


def test_liveness_asks_the_database_once_at_most(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = 0

    def exist() -> bool:
        nonlocal queries
        queries += 1
        raise DatabaseUnavailable

    monkeypatch.setattr(authentication, "FRESH_S", 0)
    monkeypatch.setattr(keys, "any_exist", exist)
    elsewhere = {"REMOTE_ADDR": "192.0.2.1"}

    assert [client.get("/healthz", environ_base=elsewhere).status_code for _ in range(3)] == [200, 200, 200]

    assert queries == 1


def test_health_needs_no_database_to_know_where_it_is() -> None:
    client = create_app({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "LOG_LEVEL": "error"}).test_client()

    assert client.get("/healthz").status_code == 200
    assert client.get("/healthz", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 200
    assert client.get("/courses").status_code == 503
    assert client.get("/courses", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 503
