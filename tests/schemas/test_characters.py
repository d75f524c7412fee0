"""Text that looks harmless: what cannot be seen is refused, what looks the same is the same."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from ..support import refusals
from ..support.refusals import INVALID, Refused

app, refused = refusals.app, refusals.refused  # fixtures: pytest finds them by their names here

NEW = {
    "/students": {"name": "Eve", "email": "eve@example.edu"},
    "/courses": {"code": "NEW", "title": "New"},
}
CONTROLS = ["\0", "\t", "\n", "\x7f", "\x85", "\u2028"]
SURROGATES = ["\ud800", "\udfff", "\udc00\ud800"]
FORMATS = ["\u202e", "\u2066", "\u200b", "\ufeff", "\xad", "\U000e0041"]
FILLERS = ["\u115f", "\u1160", "\u3164", "\uffa0", "\u034f", "\u17b4", "\u2065", "\u2800", "\U000e0fff"]
WITHOUT_MEANING = ["\ue000", "\ufdd0", "\ufffe", "\U0010ffff"]

with_fields = pytest.mark.parametrize(("path", "field"), [(path, field) for path in NEW for field in NEW[path]])


@with_fields
@pytest.mark.parametrize("char", CONTROLS + SURROGATES + FORMATS + FILLERS + WITHOUT_MEANING, ids=ascii)
def test_a_character_without_a_shape_is_invalid(refused: Refused, path: str, field: str, char: str) -> None:
    for text in (f"tattle{char}tale@example.edu", f"tattle@example.edu{char}"):
        refused(INVALID, "POST", path, f"/{field}", json=NEW[path] | {field: text})
        refused(INVALID, "PATCH", f"{path}/1", f"/{field}", json={field: text})


@with_fields
@pytest.mark.parametrize(
    "text",
    ["", " ", "\u3000", "\u200d \u200c", "\ufe0f", "\u0301x", "\ufe0f\u0301x", 1, ["tattle"], {"a": "tattle"}],
    ids=ascii,
)
def test_what_shows_nothing_or_is_no_text_is_invalid(refused: Refused, path: str, field: str, text: Any) -> None:
    refused(INVALID, "POST", path, f"/{field}", json=NEW[path] | {field: text})


@with_fields
@pytest.mark.parametrize("text", ["x" * 10_000, "y" * 255, "e\u0301" * 255], ids=len)
def test_text_that_is_too_long_is_invalid(refused: Refused, path: str, field: str, text: str) -> None:
    refused(INVALID, "POST", path, f"/{field}", json=NEW[path] | {field: text})


@pytest.mark.parametrize(
    "text",
    [
        "tattletale",
        "a b@x.example",
        "<a@x.example>",
        "a@x.example, b@x.example",
        "İ@x.example",
        "a..b@x.example",
        "a@x..example",
    ],
)
def test_what_is_no_e_mail_address_is_invalid(refused: Refused, text: str) -> None:
    refused(INVALID, "POST", "/students", "/email", json={"name": "Eve", "email": text})


def test_an_e_mail_address_that_grows_too_long_in_lower_case_is_invalid(refused: Refused) -> None:
    text = "eve@" + ("İ" * 20 + ".") * 11 + "example"  # 242 characters; in lower case each İ is two
    refused(INVALID, "POST", "/students", "/email", json={"name": "Eve", "email": text})


@pytest.mark.parametrize(
    "twin", ["Cafe\u0301", " Caf\xe9\u3000", "\xa0Cafe\u0301 ", "Caf\ufe0f\xe9", "Caf\xe9\U000e0100"], ids=ascii
)
def test_codes_that_look_the_same_are_the_same(refused: Refused, twin: str) -> None:
    refused((409, "code_taken"), "POST", "/courses", json={"code": twin, "title": "Coffee"})
    refused((409, "code_taken"), "PATCH", "/courses/1", json={"code": twin})


@pytest.mark.parametrize(
    "twin",
    [
        *("KATE@example.edu", " kate@example.edu\u3000", "\u212aate@example.edu", "kate@example.edu."),
        *("kate@\uff45xample.edu", "\uff4bate@example.edu", "kate@example\u3002edu", '"kate"@example.edu'),
        *(r'"ka\te"@example.edu', "ka\ufe0ete@example.edu", "kate\uff20example.edu"),
        *("eve@CAFE\u0301.example", "eve@xn--caf-dma.example", "eve@XN--CAF-DMA.example"),
    ],
    ids=ascii,
)
def test_e_mail_addresses_that_look_the_same_are_the_same(refused: Refused, twin: str) -> None:
    refused((409, "email_taken"), "POST", "/students", json={"name": "Eve", "email": twin})
    refused((409, "email_taken"), "PATCH", "/students/1", json={"email": twin})


@pytest.mark.parametrize("twin", ["CS\xa0101", "CS\u3000101", "CS  101", "CS \u2009101"], ids=ascii)
def test_spaces_inside_a_code_are_all_the_same(client: FlaskClient, twin: str) -> None:
    made = client.post("/courses", json={"code": "CS 101", "title": "Programming"})
    again = client.post("/courses", json={"code": twin, "title": "Programming"})
    found = again.get_json()

    assert (made.status_code, again.status_code, found["code"]) == (201, 409, "code_taken")
    client.delete(f"/courses/{made.get_json()['id']}")


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("\u845b\U000e0100", "\u845b"),  # a variant of a character in a Japanese name
        ("Ada  \xa0 Lovelace", "Ada Lovelace"),
        ("\u0930\u093e\u091c\u0928\u094d\u200d", None),  # Hindi: a half letter at the end
        ("\u09b0\u200d\u09cd\u09af\u09be\u099a\u09c7\u09b2", None),  # Bengali: the joiner stands before the virama
        ("\u0d30\u0d3e\u0d1c\u0d28\u0d4d\u200d", None),  # Malayalam
        ("\u06a9\u0627\u0631\u200c\u062e\u0627\u0646\u0647", None),  # Persian
        ("\U0001f469\U0001f3fd\u200d\U0001f4bb", None),  # one picture made of three
        ("\U0003134a", None),  # assigned later than the tables of some Python versions
    ],
    ids=ascii,
)
def test_a_name_that_people_have_is_stored(client: FlaskClient, written: str, stored: str | None) -> None:
    made = client.post("/students", json={"name": written, "email": "name@example.edu"})

    assert (made.status_code, made.get_json().get("name")) == (201, stored or written)
    client.delete(f"/students/{made.get_json()['id']}")


@pytest.mark.parametrize(
    "name",
    [
        *("A\u200dda", "Ada\u200c", "\u200dAda", "\u200c\u0639", "\u0639\u200c\u200d\u0631", "\u0639\u200c \u0631"),
        *("\u0639\u0644\u06cc\u200c", "\u5c71\u200d\u7530", "A\U0001f469\u200d"),
    ],
    ids=ascii,
)
def test_a_joiner_that_changes_nothing_is_invalid(refused: Refused, name: str) -> None:
    refused(INVALID, "POST", "/students", "/name", json={"name": name, "email": "eve@example.edu"})


def test_the_joiner_in_a_persian_name_stays_and_the_space_around_it_goes(client: FlaskClient) -> None:
    name = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"
    made = client.post("/students", json={"name": f" {name} ", "email": "ali@example.edu"})
    assert (made.status_code, made.get_json()["name"]) == (201, name)


@pytest.mark.parametrize(
    ("name", "pointer"),
    [
        *(("a~b/c", "/a~0b~1c"), ("~1", "/~01"), ("", "/"), ("a b", "/a b"), ("\u202e", "/\u202e")),
        *(("NUL\0", "/NUL\0"), ("lone\ud800", "/lone?"), ("n" * 100_000, "/" + "n" * 100)),
    ],
    ids=lambda text: ascii(text[:9]),
)
def test_the_name_of_an_unknown_field_becomes_a_pointer(refused: Refused, name: str, pointer: str) -> None:
    refused(INVALID, "PATCH", "/students/1", pointer, json={name: "tattletale"})


def test_the_name_of_an_unknown_parameter_becomes_a_pointer(refused: Refused) -> None:
    refused(INVALID, "GET", "/students?NUL%00=1&a%2Fb=1&%F0%9F%8E%93=1", "/NUL\0", "/a~1b", "/\U0001f393")


@pytest.mark.parametrize("given", ["", "x" * 129, "two words", "tab\t", "\x7f", "\xe9", "\0"], ids=ascii)
def test_a_request_id_that_cannot_be_kept_is_replaced(client: FlaskClient, given: str) -> None:
    response = client.get("/healthz", headers={"X-Request-ID": given})
    assert response.status_code == 200
    assert len(response.headers["X-Request-ID"]) == 32


def test_a_request_id_of_128_visible_characters_is_kept(client: FlaskClient) -> None:
    given = "~" * 127 + "!"
    assert client.get("/healthz", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given
