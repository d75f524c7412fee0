"""Keys over HTTP: created and shown once, given another end, revoked; and who may give which scopes."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from course_management.access import key_management as service
from course_management.access import policy
from course_management.access.callers import PersonCaller, ServiceCaller
from course_management.database import lock_text
from course_management.database.types import utcnow
from course_management.errors import Forbidden
from course_management.models import ApiKey

from ..support.fixture_types import Sql
from ..support.keys import create_key
from ..support.waits import PATIENT, wait_until_blocked

PORTAL = {"name": "portal", "scopes": ["students:read", "courses:read"]}


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a client with a key that has the scope admin."""
    client = app.test_client()
    with app.app_context():
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {create_key('test', ['admin'])}"
    return client


def later(**distance: int) -> str:
    return (utcnow() + timedelta(**distance)).isoformat().replace("+00:00", "Z")


def use(app: Flask, secret: str, path: str = "/courses") -> int:
    return app.test_client().get(path, headers={"Authorization": f"Bearer {secret}"}).status_code


def test_a_key_is_shown_once_and_works(app: Flask, client: FlaskClient) -> None:
    created = client.post("/keys", json=PORTAL)
    key, secret = created.get_json(), created.get_json()["key"]

    assert created.status_code == 201
    assert (key["prefix"], key["scopes"], key["expires_at"]) == (secret[4:12], sorted(PORTAL["scopes"]), None)
    assert (use(app, secret), use(app, secret, "/students/1/history")) == (200, 403)
    read = client.get(created.headers["Location"])
    assert read.headers["ETag"].partition(".")[0] == created.headers["ETag"].partition(".")[0]
    assert read.get_json() | {"last_used_at": None} == {name: key[name] for name in key if name != "key"}
    listed = client.get("/keys?name=portal")
    assert [each["id"] for each in listed.get_json()["items"]] == [key["id"]]
    for response in (read, listed):
        assert secret[12:] not in response.text
        assert "digest" not in response.text


def test_a_key_may_have_every_scope(app: Flask, client: FlaskClient) -> None:
    created = client.post("/keys", json=PORTAL | {"scopes": list(policy.SCOPES)}).get_json()

    assert created["scopes"] == sorted(policy.SCOPES)
    assert use(app, created["key"]) == 200


def test_a_revoked_key_stays_in_the_list_and_is_revoked_again_without_a_change(app: Flask, client: FlaskClient) -> None:
    created = client.post("/keys", json=PORTAL).get_json()
    path = f"/keys/{created['id']}"
    stale = client.get(path).headers["ETag"]
    client.patch(path, json={"expires_at": later(days=1)})
    assert client.delete(path, headers={"If-Match": stale}).status_code == 412

    assert client.delete(path).status_code == 204
    first = client.get(path).get_json()
    assert client.delete(path).status_code == 204

    assert client.get(path).get_json() == first
    assert first["revoked_at"] is not None
    assert use(app, created["key"]) == 401
    refused = client.patch(path, json={"expires_at": None})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "key_ended")
    missing = client.delete("/keys/4711")
    assert (missing.status_code, missing.get_json()["code"]) == (404, "key_not_found")


def test_the_end_of_a_key_can_be_moved_until_it_has_expired(app: Flask, client: FlaskClient, sql: Sql) -> None:
    created = client.post("/keys", json=PORTAL | {"expires_at": later(hours=1)}).get_json()
    path, end = f"/keys/{created['id']}", later(days=2)

    assert client.patch(path, json={"expires_at": end}).get_json()["expires_at"] == end
    assert client.patch(path, json={"expires_at": None}).get_json()["expires_at"] is None
    sql("UPDATE api_keys SET expires_at = '2020-01-01 00:00:00+00' WHERE name = 'portal'")

    assert use(app, created["key"]) == 401
    refused = client.patch(path, json={"expires_at": end})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "key_ended")


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({}, ["/name", "/scopes"]),
        (PORTAL | {"name": "por tal"}, ["/name"]),
        (PORTAL | {"name": "-portal"}, ["/name"]),
        (PORTAL | {"name": "p" * 51}, ["/name"]),
        (PORTAL | {"name": "portal\n"}, ["/name"]),
        (PORTAL | {"scopes": []}, ["/scopes"]),
        (PORTAL | {"scopes": None}, ["/scopes"]),
        (PORTAL | {"scopes": ["courses:read", "everything"]}, ["/scopes/1"]),
        (PORTAL | {"scopes": ["admin", "admin"]}, ["/scopes/1"]),
        (PORTAL | {"expires_at": "2020-01-01T00:00:00Z"}, ["/expires_at"]),
        (PORTAL | {"expires_at": "soon"}, ["/expires_at"]),
        (PORTAL | {"expires_at": 4102444800}, ["/expires_at"]),
        (PORTAL | {"expires_at": ["2099-01-01T00:00:00Z"]}, ["/expires_at"]),
        (PORTAL | {"prefix": "aaaaaaaa", "digest": "", "key": ""}, ["/digest", "/key", "/prefix"]),
    ],
    ids=str,
)
def test_what_is_not_valid_is_named(client: FlaskClient, sql: Sql, body: Any, places: list[str]) -> None:
    response = client.post("/keys", json=body)

    assert (response.status_code, [each["pointer"] for each in response.get_json()["errors"]]) == (422, places)
    assert sql("SELECT count(*) FROM api_keys") == [(1,)]


def test_name_and_scopes_of_a_key_are_fixed(client: FlaskClient) -> None:
    path = client.post("/keys", json=PORTAL).headers["Location"]

    response = client.patch(path, json={"name": "other", "scopes": ["admin"]})

    assert [each["pointer"] for each in response.get_json()["errors"]] == ["/name", "/scopes"]


# --- at most two active keys of a name --------------------------------------------------------------------


def test_of_many_keys_of_one_name_at_once_two_are_created(app: Flask, client: FlaskClient) -> None:
    start = Barrier(6)

    def create(_: int) -> Any:
        mine = app.test_client()
        start.wait()
        return mine.post("/keys", json=PORTAL, headers={"Authorization": client.environ_base["HTTP_AUTHORIZATION"]})

    with ThreadPoolExecutor(6) as pool:
        responses = list(pool.map(create, range(6)))

    assert sorted(each.status_code for each in responses) == [201] * 2 + [409] * 4
    assert {each.get_json()["code"] for each in responses if each.status_code == 409} == {"too_many_keys"}
    first = next(each.get_json()["id"] for each in responses if each.status_code == 201)
    client.delete(f"/keys/{first}")
    assert client.post("/keys", json=PORTAL).status_code == 201


@pytest.mark.parametrize("guarded", [True, False])
def test_without_the_lock_on_the_name_there_is_a_third_key(
    *, guarded: bool, backend: str, make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: keys that are not committed yet are not counted."""
    if backend == "sqlite":
        pytest.skip("SQLite has one writer at a time, from the beginning of its transaction")
    app = make_app(threads=3, **PATIENT)
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
    if not guarded:
        monkeypatch.setattr(service, "lock_text", lambda *_: None)

    with Session(engine) as first, ThreadPoolExecutor(1) as pool:
        lock_text(first, "keys portal")
        for number in range(2):
            first.add(ApiKey(name="portal", prefix=f"{number}", digest="", scopes=["admin"]))
        first.flush()
        third = pool.submit(app.test_client().post, "/keys", json=PORTAL)
        if guarded:
            wait_until_blocked(engine)
        else:
            third.result()
        first.commit()
        assert third.result().status_code == (409 if guarded else 201)


# --- a caller grants only scopes that it has --------------------------------------------------------------


def test_a_registrar_gives_every_scope_but_admin() -> None:
    registrar = PersonCaller("registrar:1", frozenset(["registrar"]))
    policy.check_grant(registrar, [scope for scope in policy.SCOPES if scope != "admin"])
    with pytest.raises(Forbidden, match="do not have: admin"):
        policy.check_grant(registrar, ["admin", "courses:read"])


def test_others_give_what_they_have() -> None:
    policy.check_grant(None, policy.SCOPES)
    policy.check_grant(ServiceCaller("", frozenset(["admin"])), policy.SCOPES)
    policy.check_grant(ServiceCaller("", frozenset(["courses:read"])), ["courses:read"])
    for caller in (ServiceCaller("", frozenset(["courses:read"])), PersonCaller("", frozenset(["advisor"]))):
        with pytest.raises(Forbidden, match="students:read"):
            policy.check_grant(caller, ["students:read"])


def test_a_key_is_never_logged(make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str]) -> None:
    app = make_app(log_level="debug", log_format="json")
    with app.app_context():
        admin = create_key("test", ["admin"])
    created = app.test_client().post("/keys", json=PORTAL, headers={"Authorization": f"Bearer {admin}"})

    secret = created.get_json()["key"]
    lines = capsys.readouterr().out
    assert "/keys" in lines
    for each in (secret, admin):
        assert each[12:] not in lines
    assert secret[12:] not in json.dumps(created.headers.to_wsgi_list())
