"""Bad requests around the body: too much, unknown names, wrong paths, methods, headers and preconditions."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from ..support import refusals
from ..support.refusals import (
    ENROLL,
    HAPPY,
    INVALID,
    LISTS,
    MIB,
    NOWHERE,
    TOO_LARGE,
    TOO_LONG,
    UNENROLL,
    Refused,
    chunked,
    raw,
    with_bodies,
    with_enrollment,
)

app, refused = refusals.app, refusals.refused  # fixtures: pytest finds them by their names here

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


@with_enrollment
def test_of_100000_values_that_are_no_ids_a_hundred_are_named(refused: Refused, method: str, path: str) -> None:
    pointers = ["/course_ids"] if method != "PUT" else [f"/course_ids/{index}" for index in range(100)]
    refused(INVALID, method, path, *pointers, json={"course_ids": [0] * 100_000})


def test_50000_unknown_fields_are_not_looked_at(refused: Refused) -> None:
    many = {f"{number:05}": 1 for number in range(50_000)}
    refused(INVALID, "PATCH", "/students/1", "", json=many)


def test_100000_query_parameters_are_too_long(refused: Refused) -> None:
    refused(TOO_LONG, "GET", "/students?" + "&".join(f"a{number}=1" for number in range(100_000)))


# --- rows 14 to 16: names, queries, cursors ---------------------------------------------------------------


@with_bodies
@pytest.mark.parametrize("name", ["id", "status", "seats_taken", "waiting", "created_at", "Course_id", "__class__"])
def test_an_unknown_or_read_only_field_is_named(refused: Refused, method: str, path: str, name: str) -> None:
    refused(INVALID, method, path, f"/{name}", json={**HAPPY[method, path], name: "tattletale"})


def test_all_validation_errors_are_reported_at_once(refused: Refused) -> None:
    invalid = {"id": 1, "code": "", "capacity": -1, "waitlist_capacity": "tattletale"}
    refused(INVALID, "POST", "/courses", *(f"/{name}" for name in sorted([*invalid, "title"])), json=invalid)


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
    GET /students?email=                                /email
    GET /students?email=tattletale                      /email
    GET /students?email=a+b@example.edu                 /email
    GET /students?email=%00@example.edu                 /email
    GET /students?email=a@b.example&email=c@b.example   /email
    GET /students?code=tattletale                       /code
    GET /courses?email=tattle@example.edu               /email
    GET /courses?code=                                  /code
    GET /courses?code=a%00                              /code
    GET /courses?code=CS101&code=CS102                  /code
    GET /courses/1/students?code=CS101                  /code
    GET /students/1?x                                   /x
    GET /students/1/courses?status=                     /status
    GET /students/1/courses?status=enrolled%00          /status
    GET /courses/1/students?status=any                  /status
    GET /terms?kind=program                             /kind
    GET /terms?code=T1&code=T2                          /code
    GET /groups?kind=a%00                               /kind
    GET /groups?q=tattletale                            /q
    GET /students/1/holds?kind=library                  /kind
    GET /students/1/permissions?rule=restricted         /rule
    GET /students/1/groups?limit=1                      /limit
    GET /terms/1/windows?limit=1                        /limit
    GET /catalog?credits=3                              /credits
    GET /catalog?code=CS101&code=CS102                   /code
    GET /catalog?q=a%00                                 /q
    GET /courses?catalog_id=0                           /catalog_id
    GET /courses?catalog_id=1.5                         /catalog_id
    GET /students/1/completions?passed=true             /passed
    GET /courses/1/meetings?limit=1                     /limit
    GET /catalog/1/prerequisites?after=x                /after
    GET /students/1/terms/1?x=tattletale                /x
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


@pytest.mark.parametrize("thing", [*NOT_IDS, "1%20", "1;x", "1/", "1//enroll", 2**53, 2**63, 2**70, "9" * 5000])
def test_a_path_without_a_proper_id_does_not_exist(refused: Refused, thing: Any) -> None:
    refused(NOWHERE, "GET", f"/students/{thing}")
    refused(NOWHERE, "PUT", f"/students/{thing}/enroll", json={"course_ids": [2]})
    refused(NOWHERE, "PATCH", f"/courses/{thing}", json={"title": "tattletale"})


@pytest.mark.parametrize("raw_uri", ["/students/1%2fcourses", "/students%2F1/courses", "/students/1%2fcourses?limit=1"])
def test_an_encoded_slash_is_no_slash_where_the_server_shows_it(refused: Refused, raw_uri: str) -> None:
    refused(NOWHERE, "GET", "/students/1/courses", environ_overrides={"RAW_URI": raw_uri})


def test_an_encoded_slash_in_a_query_is_one_of_its_characters(client: FlaskClient) -> None:
    assert client.get("/courses", query_string="code=A%2FB").get_json() == {"items": [], "next": None}


@pytest.mark.parametrize("path", ["/students/", "/docs/", "/", "/students?after="])
def test_an_address_over_8_kb_is_too_long(refused: Refused, path: str) -> None:
    refused(TOO_LONG, "GET", path + "a" * 8192)


@with_enrollment
@pytest.mark.parametrize("course_id", [999_999, 2**53 - 1])
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
def test_an_unsupported_method_gets_the_list_of_supported_ones(refused: Refused, method: str, path: str) -> None:
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


@pytest.mark.parametrize("path", ["/students/3", "/courses/3"])
def test_a_chunked_body_that_would_not_be_read_is_refused(refused: Refused, path: str) -> None:
    for body in (b"", b"{}", b"{broken"):
        refused((411, "length_required"), "DELETE", path, **chunked(body))


def test_responses_to_head_and_options_have_no_body(client: FlaskClient) -> None:
    for path in ("/students", "/students/1", "/courses/1/students", "/healthz"):
        head, options = client.head(path), client.options(path)
        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == client.get(path).headers["Content-Length"]
        assert (options.status_code, options.data) == (200, b"")
        assert "GET" in options.headers["Allow"]
