"""Bodies that are not JSON: an endpoint declares what it accepts, and half a body is not taken for a whole one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from sqlalchemy.engine import make_url

from course_management import create_app
from course_management.access.policy import Access
from course_management.database import db
from course_management.http.endpoints import Endpoints, raw_body, responds

from ..databases import migrate

TABLE = b"a,b\r\n1,2\r\n"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    """Return the app, with an endpoint that takes CSV and gives back what it was given."""
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    migrate(make_url(url))
    app = create_app({"DATABASE_URL": url, "LOG_LEVEL": "error", "MAX_BODY_BYTES": "1024"})
    tables = Endpoints("tables", __name__, description="Tables.")

    @tables.declare("POST", "/tables", Access(scope="admin"))
    @raw_body("text/csv", "application/zip")
    @responds(200)
    def store_table(body: bytes) -> Response:
        """Store a table."""
        return Response(body, mimetype="text/plain")

    app.register_blueprint(tables)
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def send(client: FlaskClient) -> Callable[..., Any]:
    def call(body: bytes, content_type: str | None = "text/csv", **request: Any) -> Any:
        return client.post("/tables", data=body, content_type=content_type, **request)

    return call


@pytest.mark.parametrize("content_type", ["text/csv", "TEXT/CSV; charset=utf-16; header=present", "application/zip"])
@pytest.mark.parametrize("body", [TABLE, b"", b"\x00\xff" * 512], ids=len)
def test_a_view_gets_the_bytes_that_were_sent(send: Any, content_type: str, body: bytes) -> None:
    response = send(body, content_type)
    assert (response.status_code, response.data) == (200, body)


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/json", "text/csv, application/json"])
def test_what_an_endpoint_does_not_declare_is_unsupported(send: Any, content_type: str | None) -> None:
    response = send(TABLE, content_type)
    assert (response.status_code, response.get_json()["code"]) == (415, "unsupported_media_type")


def test_a_compressed_body_is_unsupported(send: Any) -> None:
    assert send(TABLE, headers={"Content-Encoding": "gzip"}).status_code == 415


def test_a_body_that_is_too_large_is_not_read(send: Any) -> None:
    assert send(b" " * 1025).get_json()["code"] == "payload_too_large"


def test_a_chunked_body_could_be_half_of_one_and_needs_a_length(client: FlaskClient) -> None:
    response = client.post(
        "/tables",
        input_stream=BytesIO(TABLE),
        content_type="text/csv",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert (response.status_code, response.get_json()["code"]) == (411, "length_required")


def test_the_document_names_what_an_endpoint_accepts(client: FlaskClient) -> None:
    operation = client.get("/openapi.json").get_json()["paths"]["/tables"]["post"]

    assert set(operation["requestBody"]["content"]) == {"text/csv", "application/zip"}
    assert {"411", "413", "415"} <= operation["responses"].keys()
