"""Bad bodies: each is refused with the right code, at the right place, without a trace and without an echo."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.http import parsing

from ..support import refusals
from ..support.refusals import (
    ENROLL,
    INVALID,
    MALFORMED,
    MIB,
    UNENROLL,
    WRONG_TYPE,
    Refused,
    chunked,
    raw,
    with_bodies,
    with_enrollment,
)

app, refused = refusals.app, refusals.refused  # fixtures: pytest finds them by their names here

# --- rows 1 to 4, 8, 10: JSON -----------------------------------------------------------------------------


@with_bodies
@pytest.mark.parametrize("body", ["[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000, "[" * 5000], ids=len)
def test_json_nested_5000_deep_is_malformed(refused: Refused, method: str, path: str, body: str) -> None:
    refused(MALFORMED, method, path, **raw(body))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000, "-" + "9" * 5000])
def test_a_number_that_other_readers_refuse_is_malformed(refused: Refused, number: str) -> None:
    refused(MALFORMED, "POST", ENROLL, **raw(f'{{"course_id": {number}}}'))


@pytest.mark.parametrize("second", ['"course_id": 2', '"course\\u005fid": 2', '"x": {"a": 1, "a": 1}'])
def test_a_repeated_key_is_malformed(refused: Refused, second: str) -> None:
    refused(MALFORMED, "POST", ENROLL, **raw(f'{{"course_id": 2, {second}}}'))


@with_bodies
@pytest.mark.parametrize("body", ["null", "[]", '"x"', "1", "true", "[{}]"])
def test_a_body_that_is_no_object_is_invalid_as_a_whole(refused: Refused, method: str, path: str, body: str) -> None:
    refused(INVALID, method, path, "", **raw(body))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_that_is_not_in_utf_8_is_malformed(refused: Refused, encoding: str) -> None:
    refused(MALFORMED, "POST", ENROLL, **raw('{"course_id": 2}'.encode(encoding)))


NOT_JSON = [
    b"",
    b" ",
    b'{"course_id": 2',
    b'{"course_id": 2,}',
    b"{}{}",
    b"{}\0",
    b"{/**/}",
    b'{"x": "\0"}',
    b'{"x": "\n"}',
]


@pytest.mark.parametrize("body", [*NOT_JSON, b'{"x": "\xff"}', b'{"x": "\xed\xa0\x80"}', b'{"x": "\xc0\x80"}'])
def test_what_is_not_one_json_document_is_malformed(refused: Refused, body: bytes) -> None:
    refused(MALFORMED, "POST", ENROLL, **raw(body))


@pytest.mark.parametrize("body", [b'{"course_ids":[2]}', b'{"course_ids": [2], "waitlist": true}\n'])
def test_no_beginning_of_a_chunked_body_is_taken_for_the_whole(refused: Refused, body: bytes) -> None:
    for length in range(len(body.rstrip())):
        refused(MALFORMED, "POST", ENROLL, **chunked(body[:length]))


@pytest.mark.parametrize("body", [b"1", b"12", b'"a"', b"[1, 2]", b"true"])
def test_a_chunked_document_whose_beginning_could_be_another_is_refused(refused: Refused, body: bytes) -> None:
    refused(INVALID, "POST", ENROLL, "", **chunked(body))


# --- work is bounded, and begins after authentication -----------------------------------------------------


def nested(depth: int, kind: str) -> str:
    """Return a body in which the value of `x` is nested this deep."""
    opening, closing = {"array": ("[", "]"), "object": ('{"x":', "}")}[kind]
    return '{"x":' + opening * (depth - 1) + "1" + closing * (depth - 1) + "}"


@pytest.mark.parametrize("kind", ["array", "object"])
def test_64_levels_are_read_and_65_are_malformed(refused: Refused, kind: str) -> None:
    refused(INVALID, "PATCH", "/students/1", "/x", **raw(nested(64, kind)))
    refused(MALFORMED, "PATCH", "/students/1", **raw(nested(65, kind)))


def test_brackets_inside_of_strings_are_no_levels(refused: Refused, client: FlaskClient) -> None:
    name = "[" * 70 + '\\"{' + "\\"
    assert client.patch("/students/1", **raw(json.dumps({"name": name}))).status_code == 200
    for text in ('"[]"', '"\\""', '"\\\\"'):
        refused(MALFORMED, "PATCH", "/students/1", **raw('{"x": [' + text + ", " + "[" * 64 + "]" * 64 + "]}"))


MANY = {
    "empty arrays": b"[" + b"[]," * 300_000 + b"[]]",
    "arrays of arrays": b"[" + b"[[]]," * 200_000 + b"[]]",
    "objects": b"[" + b'{"a":1},' * 100_000 + b"1]",
    "as deep as allowed": b"[" + (b"[" * 60 + b"]" * 60 + b",") * 8_000 + b"1]",
    "closing only": b"[" * 65 + b"]" * 1_000_000,
}


@pytest.mark.parametrize("body", MANY.values(), ids=MANY)
def test_more_than_10000_arrays_and_objects_are_not_decoded(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(parsing, "_DECODER", None)  # decoding would fail
    refused(MALFORMED, "POST", ENROLL, **raw(body))


@pytest.mark.parametrize("send", [raw, chunked])
@pytest.mark.parametrize("body", [b"{", b"[" * MIB, b"1" * MIB], ids=len)
def test_nothing_of_a_body_is_read_before_authentication(
    app: Flask, send: Callable[[bytes], dict[str, Any]], body: bytes
) -> None:
    class Untouched(BytesIO):
        def read(self, *_: Any) -> bytes:
            raise AssertionError

    request = send(body) | {"input_stream": Untouched(body), "environ_base": {"REMOTE_ADDR": "192.0.2.1"}}
    response = app.test_client().post(ENROLL, **{name: each for name, each in request.items() if name != "data"})
    assert response.get_json()["code"] == "protected_mode"


# --- rows 7, 9, 18: numbers and lists of them -------------------------------------------------------------


@with_enrollment
@pytest.mark.parametrize("number", [2**53, 2**63, 2**70, 0, -1, True, "1", 1.5, 1.0, None, [], {}])
def test_what_is_no_id_is_invalid_in_a_body(refused: Refused, method: str, path: str, number: Any) -> None:
    refused(INVALID, method, path, "/course_ids/1", json={"course_ids": [2, number]})
    if method != "PUT":
        refused(INVALID, method, path, "/course_id", json={"course_id": number})


@pytest.mark.parametrize("number", ["1e2", "1E0", "100.0", "-0", "-0.0"])
def test_a_number_not_written_as_an_integer_is_no_id(refused: Refused, number: str) -> None:
    refused(INVALID, "POST", ENROLL, "/course_id", **raw(f'{{"course_id": {number}}}'))


@pytest.mark.parametrize(
    "number", ["0", "-1", "+1", "%2B1", "01", "%D9%A1", "1.0", "1,2", "", "1_0", "2%00", 2**53, 2**63]
)
def test_what_is_no_id_is_invalid_in_a_query(refused: Refused, number: Any) -> None:
    refused(INVALID, "DELETE", f"{UNENROLL}?course_id=2&course_id={number}", "/course_id/1")


@pytest.mark.parametrize("limit", [-1, 2**31, 2**63, 2**70, True, "1", 1.5, 1.0, [], {}])
@pytest.mark.parametrize("field", ["capacity", "waitlist_capacity"])
def test_what_is_no_capacity_is_invalid(refused: Refused, field: str, limit: Any) -> None:
    refused(INVALID, "POST", "/courses", f"/{field}", json={"code": "NEW", "title": "New", field: limit})
    refused(INVALID, "PATCH", "/courses/1", f"/{field}", json={field: limit})


@pytest.mark.parametrize("value", [1, 0, "true", None, [], 1.5])
def test_what_is_no_boolean_is_invalid(refused: Refused, value: Any) -> None:
    for method in ("POST", "PUT"):
        refused(INVALID, method, ENROLL, "/waitlist", json={"course_ids": [2], "waitlist": value})


@with_enrollment
def test_an_id_that_is_repeated_is_named(refused: Refused, method: str, path: str) -> None:
    refused(INVALID, method, path, "/course_ids/2", "/course_ids/3", json={"course_ids": [1, 2, 1, 2]})


@pytest.mark.parametrize(("method", "path"), [("POST", ENROLL), ("DELETE", UNENROLL)])
def test_no_course_or_two_ways_to_name_it_is_invalid(refused: Refused, method: str, path: str) -> None:
    refused(INVALID, method, path, "", json={})
    refused(INVALID, method, path, "", json={"course_id": 2, "course_ids": [2]})
    refused(INVALID, method, path, "/course_ids", json={"course_ids": []})
    refused(INVALID, "DELETE", f"{UNENROLL}?course_id=2", "", json={"course_id": 2})
    refused(INVALID, "DELETE", UNENROLL, "")


# --- row 11: types and codings ----------------------------------------------------------------------------


@with_bodies
@pytest.mark.parametrize("declared", [None, "", "text/plain", "multipart/form-data; boundary=x"])
def test_a_body_not_declared_as_json_is_not_read(refused: Refused, method: str, path: str, declared: Any) -> None:
    refused(WRONG_TYPE, method, path, data='{"course_ids": [2]}', content_type=declared)


@pytest.mark.parametrize(
    "declared", ["problem+json", "jsonp", "json, text/plain", "json;charset=latin-1", "json;charset=utf-16"]
)
def test_what_only_resembles_json_is_not_read(refused: Refused, declared: str) -> None:
    refused(WRONG_TYPE, "POST", ENROLL, data='{"course_ids": [2]}', content_type=f"application/{declared}")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity, gzip", ""])
def test_a_packed_body_is_not_read(refused: Refused, coding: str) -> None:
    refused(WRONG_TYPE, "POST", ENROLL, **raw(b"\x1f\x8b", headers={"Content-Encoding": coding}))


@pytest.mark.parametrize("declared", ["application/json; charset=utf-8", "APPLICATION/JSON;CHARSET=UTF-8"])
def test_json_may_be_declared_as_utf_8(client: FlaskClient, declared: str) -> None:
    assert client.post(ENROLL, data='{"course_id": 1}', content_type=declared).status_code == 200
