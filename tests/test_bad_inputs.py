"""Bad inputs: each is refused with the right code, at the right place, without a trace and without an echo.

What is refused changes nothing, so one database serves the whole page: `refused` compares every row of every
table. `test_bad_text.py` goes on with text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management import create_app
from course_management.database import db

from .conftest import Databases
from .contract import ContractClient

Refused = Callable[..., Any]

MALFORMED, INVALID, TOO_LARGE = (400, "malformed_json"), (422, "validation_failed"), (413, "payload_too_large")
NOWHERE, TOO_LONG, WRONG_TYPE = (404, "not_found"), (414, "uri_too_long"), (415, "unsupported_media_type")

ENROLL, UNENROLL = "/students/1/enroll", "/students/1/unenroll"
ENROLLMENT = [("POST", ENROLL), ("PUT", ENROLL), ("DELETE", UNENROLL)]
HAPPY: dict[tuple[str, str], dict[str, Any]] = {
    **{call: {"course_ids": [2]} for call in ENROLLMENT},
    ("POST", "/students"): {"name": "Eve", "email": "eve@example.edu"},
    ("POST", "/courses"): {"code": "NEW", "title": "New"},
    ("PATCH", "/students/1"): {},
    ("PATCH", "/courses/1"): {},
}
LISTS = ["/students", "/courses", "/courses/1/students", "/students/1/history", "/courses/1/history"]
MIB = 1024 * 1024

with_enrollment = pytest.mark.parametrize(("method", "path"), ENROLLMENT)
with_bodies = pytest.mark.parametrize(("method", "path"), HAPPY)


@pytest.fixture(scope="module")
def app(databases: Databases) -> Iterator[Flask]:
    """Two students in course 1, which has two seats; what else there is has nobody and nothing."""
    url = databases.migrated()
    app = create_app({"DATABASE_URL": url.render_as_string(hide_password=False), "LOG_LEVEL": "error"})
    app.test_client_class = ContractClient
    client = app.test_client()
    for code in ("CS101", "CS102", "Caf\xe9"):
        client.post("/courses", json={"code": code, "title": "Programming", "capacity": 2})
    for address in ("ada@example.edu", "bob@example.edu", "kate@example.edu", "eve@caf\xe9.example"):
        client.post("/students", json={"name": "Somebody", "email": address})
    for student_id in (1, 2):
        client.post(f"/students/{student_id}/enroll", json={"course_ids": [1, 2]})
        client.delete(f"/students/{student_id}/unenroll?course_id=2")
    yield app
    with app.app_context():
        db.engine.dispose()
    databases.drop(url)


@pytest.fixture
def refused(client: FlaskClient, sql: Callable[..., list[Any]]) -> Refused:
    """Sends a request that must be refused: with this status and code, at these places, unapplied, unrepeated."""

    def rows() -> list[list[Any]]:
        tables = ("students", "courses", "student_courses", "enrollment_events")
        return [sql(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]

    def send(expected: tuple[int, str], method: str, path: str, *pointers: str, **request: Any) -> Any:
        before = rows()
        answer = client.open(path, method=method, **request)
        problem = answer.get_json()
        assert (answer.status_code, problem["code"]) == expected, answer.text
        assert [each["pointer"] for each in problem.get("errors", ())] == list(pointers)
        del problem["instance"]  # the path may be told again, the values may not
        told = json.dumps(problem, ensure_ascii=False)
        assert [each for each in _values([request, parse_qs(urlsplit(path).query)]) if each in told] == []
        assert rows() == before
        return answer

    return send


def _values(found: Any) -> Iterator[str]:
    # What a request says, as an answer could repeat it; shorter ones are in any answer by chance.
    if isinstance(found, Mapping | list):
        for each in found.values() if isinstance(found, Mapping) else found:
            yield from _values(each)
    elif len(str(found)) > 5 and found != "application/json":
        yield str(found)


def raw(body: str | bytes, **request: Any) -> dict[str, Any]:
    """The arguments of a request whose body is sent as it is."""
    return {"data": body, "content_type": "application/json", **request}


def chunked(body: bytes) -> dict[str, Any]:
    """The arguments of a chunked request, as servers hand it over: no length, an input that ends by itself."""
    return {
        "input_stream": BytesIO(body),
        "content_type": "application/json",
        "headers": {"Transfer-Encoding": "chunked"},
        "environ_overrides": {"wsgi.input_terminated": True},
    }


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


# --- rows 7, 9, 18: numbers and lists of them -------------------------------------------------------------


@with_enrollment
@pytest.mark.parametrize("number", [2**63, 2**70, 0, -1, True, "1", 1.5, 1.0, None, [], {}])
def test_what_is_no_id_is_invalid_in_a_body(refused: Refused, method: str, path: str, number: Any) -> None:
    refused(INVALID, method, path, "/course_ids/1", json={"course_ids": [2, number]})
    if method != "PUT":
        refused(INVALID, method, path, "/course_id", json={"course_id": number})


@pytest.mark.parametrize("number", ["1e2", "1E0", "100.0", "-0", "-0.0"])
def test_a_number_not_written_as_an_integer_is_no_id(refused: Refused, number: str) -> None:
    refused(INVALID, "POST", ENROLL, "/course_id", **raw(f'{{"course_id": {number}}}'))


@pytest.mark.parametrize("number", ["0", "-1", "+1", "%2B1", "01", "%D9%A1", "1.0", "1,2", "", "1_0", "2%00", 2**63])
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


# --- rows 12, 13: too much --------------------------------------------------------------------------------


@with_bodies
def test_a_body_over_1_mib_is_too_large(refused: Refused, method: str, path: str) -> None:
    body = b'{"course_ids": [2]}'.ljust(MIB) + b" "
    refused(TOO_LARGE, method, path, **raw(body))
    refused(TOO_LARGE, method, path, **chunked(body))
    refused(TOO_LARGE, method, path, **chunked(body + b"tattletale" * 1000))


def test_a_body_of_exactly_1_mib_is_read(client: FlaskClient) -> None:
    body = b'{"course_ids": [1]}'.ljust(MIB)
    assert client.post(ENROLL, **raw(body)).status_code == 200
    assert client.post(ENROLL, **chunked(body)).status_code == 200


@with_enrollment
def test_100000_course_ids_are_invalid_as_a_list(refused: Refused, method: str, path: str) -> None:
    refused(INVALID, method, path, "/course_ids", json={"course_ids": list(range(1, 100_001))})


def test_50000_unknown_fields_are_not_all_listed(refused: Refused) -> None:
    many = {f"{number:05}": 1 for number in range(50_000)}
    refused(INVALID, "PATCH", "/students/1", *(f"/{number:05}" for number in range(100)), json=many)


def test_100000_query_parameters_are_too_long(refused: Refused) -> None:
    refused(TOO_LONG, "GET", "/students?" + "&".join(f"a{number}=1" for number in range(100_000)))


# --- rows 14 to 16: names, queries, cursors ---------------------------------------------------------------


@with_bodies
@pytest.mark.parametrize("name", ["id", "status", "seats_taken", "waiting", "created_at", "Course_id", "__class__"])
def test_an_unknown_or_read_only_field_is_named(refused: Refused, method: str, path: str, name: str) -> None:
    refused(INVALID, method, path, f"/{name}", json={**HAPPY[method, path], name: "tattletale"})


def test_all_mistakes_are_told_at_once(refused: Refused) -> None:
    mistakes = {"id": 1, "code": "", "capacity": -1, "waitlist_capacity": "tattletale"}
    refused(INVALID, "POST", "/courses", *(f"/{name}" for name in sorted([*mistakes, "title"])), json=mistakes)


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("limit", ["-1", "0", "201", "1000000000", "abcdef", "", "01", "1.5", "%D9%A3", "1%00", "%ff"])
def test_a_limit_outside_1_to_200_is_invalid(refused: Refused, path: str, limit: str) -> None:
    refused(INVALID, "GET", f"{path}?limit={limit}", "/limit")


WRONG_QUERIES = """
    GET /students?limit=1&limit=1                       /limit
    GET /students?Limit=1                               /Limit
    GET /students?x=tattletale                          /x
    GET /students?x=1&x=2                               /x
    GET /students?=1                                    /
    GET /students?a%2Fb~=1                              /a~1b~0
    GET /students/1?x                                   /x
    GET /students/1/courses?status=                     /status
    GET /students/1/courses?status=enrolled%00          /status
    GET /courses/1/students?status=any                  /status
    GET /healthz?x=tattletale                           /x
    GET /readyz?x&x                                     /x
    POST /students?x=tattletale                         /x
    POST /students/1/enroll?course_id=2                 /course_id
    PUT /students/1/enroll?dry_run=1                    /dry_run
    PUT /students/1/enroll?dry_run=True                 /dry_run
    PUT /students/1/enroll?dry_run=true&dry_run=true    /dry_run
    PUT /students/1/enroll?x=tattletale                 /x
    PATCH /students/1?x                                 /x
    DELETE /students/3?x                                /x
    DELETE /students/1/unenroll?course_id=2&course_id=2 /course_id/1
    DELETE /students/1/unenroll?course_id=2&x=1         /x
    DELETE /students/1/unenroll?&                       /course_id
"""


@pytest.mark.parametrize("line", WRONG_QUERIES.strip().splitlines(), ids=str.strip)
def test_a_parameter_that_is_unknown_repeated_or_wrong_is_named(refused: Refused, line: str) -> None:
    method, path, pointer = line.split()
    refused(INVALID, method, path, pointer, **({"json": {"course_ids": []}} if method == "PUT" else {}))


@pytest.mark.parametrize("path", LISTS)
def test_a_forged_or_foreign_cursor_is_invalid(client: FlaskClient, refused: Refused, path: str) -> None:
    genuine = client.get(f"{path}?limit=1").get_json()["next"]
    assert client.get(f"{path}?after={genuine}").status_code == 200
    changed = [genuine[:i] + ("B" if genuine[i] == "A" else "A") + genuine[i + 1 :] for i in range(len(genuine))]
    for forged in [*changed, genuine[:-1], genuine + "A", "%00", "%ff", "abcdef", "A" * 20, "=" * 20, "", "9" * 300]:
        refused(INVALID, "GET", f"{path}?after={forged}", "/after")
    for other in {*LISTS, "/courses/1/students?status=waitlisted", "/courses/2/students", "/students/2/history"} - {
        path
    }:
        refused(INVALID, "GET", other + ("&" if "?" in other else "?") + f"after={genuine}", "/after")


# --- rows 17, 19, 22: what is not there, and a rule -------------------------------------------------------


NOT_IDS = ["abc", "1.5", "../", "..%2f", "%00", "1%00", "0", "-1", "+1", "01", "%D9%A1", "%ff", "%ed%a0%80", "1%0a"]


@pytest.mark.parametrize("thing", [*NOT_IDS, "1%20", "1;x", "1/", "1//enroll", 2**63, 2**70, "9" * 5000])
def test_a_path_without_a_proper_id_does_not_exist(refused: Refused, thing: Any) -> None:
    refused(NOWHERE, "GET", f"/students/{thing}")
    refused(NOWHERE, "PUT", f"/students/{thing}/enroll", json={"course_ids": [2]})
    refused(NOWHERE, "PATCH", f"/courses/{thing}", json={"title": "tattletale"})


@pytest.mark.parametrize("path", ["/students/", "/docs/", "/", "/students?after="])
def test_an_address_over_8_kb_is_too_long(refused: Refused, path: str) -> None:
    refused(TOO_LONG, "GET", path + "a" * 8192)


@with_enrollment
@pytest.mark.parametrize("course_id", [999_999, 2**63 - 1])
def test_an_unknown_course_among_known_ones_applies_nothing(
    refused: Refused, method: str, path: str, course_id: int
) -> None:
    refused((404, "course_not_found"), method, path, **raw(f'{{"course_ids": [2, {course_id}]}}'))


@with_enrollment
def test_an_unknown_student_is_not_found(refused: Refused, method: str, path: str) -> None:
    refused((404, "student_not_found"), method, path.replace("1", "999999"), json={"course_ids": [2]})


def test_a_capacity_below_the_seats_taken_is_refused(refused: Refused) -> None:
    refused((409, "capacity_below_enrollment"), "PATCH", "/courses/1", json={"capacity": 1})


# --- rows 20, 23: methods and headers ---------------------------------------------------------------------

CONDITIONAL = [
    ("PATCH", "/students/1", {"name": "Eve"}),
    ("DELETE", "/students/3", {}),
    ("PATCH", "/courses/1", {"title": "New"}),
    ("DELETE", "/courses/2", {}),
    ("PUT", ENROLL, {"course_ids": []}),
]
NOT_TAGS = [
    "",
    "tattle",
    '"tattle',
    'tattle"',
    "'tattle'",
    '"a" "b"',
    '"a" b',
    'w/"a"',
    'W/ "a"',
    "*, *",
    '*, "a"',
    '"a b"',
]


@pytest.mark.parametrize(("method", "path", "body"), CONDITIONAL)
def test_a_precondition_that_is_no_list_of_tags_is_malformed(
    refused: Refused, method: str, path: str, body: dict[str, Any]
) -> None:
    for header in NOT_TAGS:
        refused((400, "malformed_precondition"), method, path, json=body, headers={"If-Match": header})


@pytest.mark.parametrize(("method", "path", "body"), CONDITIONAL)
def test_a_stale_or_weak_precondition_fails(
    client: FlaskClient, refused: Refused, method: str, path: str, body: dict[str, Any]
) -> None:
    current = client.get(path.replace("enroll", "courses")).headers["ETag"]
    for header in (f"W/{current}", '"tattle"', '"tattle", W/"tattle.tattle"', '"*"', '""', f'"{"e" * 7000}"'):
        refused((412, "precondition_failed"), method, path, json=body, headers={"If-Match": header})


@pytest.mark.parametrize("path", ["/students", "/students/1", ENROLL, UNENROLL, "/healthz", "/docs", "/openapi.json"])
@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "TATTLE"])
def test_a_method_an_address_does_not_know_is_answered_with_those_it_knows(
    refused: Refused, method: str, path: str
) -> None:
    allowed = refused((405, "method_not_allowed"), method, path).headers["Allow"]
    assert "OPTIONS" in allowed
    assert method not in allowed


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_header_does_not_change_the_method(client: FlaskClient, header: str) -> None:
    assert client.get("/students/3", headers={header: "DELETE"}).status_code == 200
    assert client.post(ENROLL, json={"course_id": 1}, headers={header: "PUT"}).get_json()["results"]
    assert client.get("/students/3").status_code == 200


@pytest.mark.parametrize("names", [["X-Long"], [f"X-Long-{number}" for number in range(9)]], ids=len)
def test_headers_over_8_kb_are_too_large(refused: Refused, names: list[str]) -> None:
    long = {name: "tattle" * (1400 // len(names)) for name in names}
    refused((431, "headers_too_large"), "GET", "/students", headers=long)


@pytest.mark.parametrize("body", ["{broken", "x" * 2 * MIB], ids=len)
def test_a_body_where_none_belongs_is_not_read(client: FlaskClient, refused: Refused, body: str) -> None:
    assert client.get("/students/1", **raw(body)).status_code == 200
    refused((404, "student_not_found"), "DELETE", "/students/999999", **raw(body))
    refused(NOWHERE, "POST", "/nowhere", **raw(body))


def test_head_and_options_are_answered_without_a_body(client: FlaskClient) -> None:
    for path in ("/students", "/students/1", "/courses/1/students", "/healthz"):
        head, options = client.head(path), client.options(path)
        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == client.get(path).headers["Content-Length"]
        assert (options.status_code, options.data) == (200, b"")
        assert "GET" in options.headers["Allow"]
