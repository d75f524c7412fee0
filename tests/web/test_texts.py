"""Texts: everything goes through gettext, and everything that is stored is shown as text."""

from __future__ import annotations

import gettext
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.access.sessions import Owner
from course_management.errors import all_codes
from course_management.web import texts as web_texts
from course_management.web.addressing import OF_STUDENT, TO_STUDENT

from ..support.fixture_types import Make
from .checking import parse, words
from .pages import Page, pages
from .school import School, build, visit
from .texts import Text, catalog, texts

KINDS = ("the student", "the instructor", "the advisor", "registrar")
DATA = "§"
"""The mark of each text that is stored in the database of these tests."""
FREE = re.compile(r"[\W\d_]*|UTC|\w+:\w+|[\d:]+\u2013[\d:]+,?|system|demo|portal|test|\w+@example\.edu", re.ASCII)
"""What needs no translation: numbers, signs, times, zones, actors of the ledger, keys, e-mail addresses."""


class Pseudo(gettext.NullTranslations):
    """A language in which each text is put between brackets: what stands outside of them was not translated."""

    def __init__(self) -> None:
        super().__init__()
        self.used: set[Text] = set()

    def gettext(self, message: str) -> str:
        self.used.add(Text(message))
        return f"⟦{message}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        self.used.add(Text(msgid1, msgid2))
        return f"⟦{msgid1 if n == 1 else msgid2}⟧"


def visits(app: Flask, school: School) -> Iterator[tuple[Page, FlaskClient]]:
    """Yield each page with the browser of each kind of visitor who has pages."""
    for kind in KINDS:
        visitor = visit(app, school.owners[kind])
        for page in pages(app, "GET"):
            yield page, visitor


def outside(text: str) -> str:
    """Return what is outside of all brackets, which may be nested."""
    depth, found = 0, ""
    for each in text:
        depth += each == "⟦"
        if depth == 0:
            found += each
        depth -= each == "⟧"
    return found.strip()


@pytest.mark.one_database
def test_no_text_of_a_page_is_left_untranslated(app: Flask, client: FlaskClient) -> None:
    school = build(client, lambda name: f"{DATA}{name}{DATA}")
    app.extensions["translations"] = pseudo = Pseudo()
    found: dict[str, set[str]] = {}
    shown = 0

    for page, visitor in visits(app, school):
        response = visitor.get(page.path(school.ids))
        if response.mimetype != "text/html" or response.status_code != 200:
            continue
        shown += 1
        for text in words(response.text):
            rest = re.sub(f"{DATA}.*?{DATA}", "", outside(text)).strip()
            if not FREE.fullmatch(rest):
                found.setdefault(page.rule, set()).add(rest)
    assert found == {}, 'Write these texts in the templates of the pages as {{ _("…") }}.'
    assert shown > 10
    assert {text.one for text in pseudo.used - texts().keys()} == set(), (
        "A translator does not get these: mark them with N_ where they are written."
    )


def test_a_text_without_translation_would_be_found() -> None:
    assert outside("⟦Seats: ⟦one⟧⟧ free") == "free"
    assert not FREE.fullmatch("free")


CANARY = "<canary onmouseover=1>\"'&lt;%s{{7*7}}"


@pytest.mark.one_database
def test_stored_text_is_never_markup(app: Flask, client: FlaskClient) -> None:
    school = build(client, lambda name: f"{name}{CANARY}"[:200] if len(name) > 3 else f"{name}<i>\"'")
    shown = 0

    for page, visitor in visits(app, school):
        response = visitor.get(page.path(school.ids))
        if response.mimetype != "text/html":
            continue
        root, errors = parse(response.text)
        tags = {each.tag for each in root.walk()}
        assert not tags & {"canary", "i"}, page.rule
        assert not [each for each in root.walk() if "onmouseover" in each.attributes], page.rule
        assert errors == [], page.rule
        assert "49" not in re.findall(r"canary.{0,40}", response.text), page.rule
        shown += "canary" in response.text
    assert shown > 5


def test_what_somebody_searches_is_never_markup(app: Flask, client: FlaskClient) -> None:
    school = build(client)
    visitor = visit(app, school.owners["the student"])

    response = visitor.get("/app/courses", query_string={"q": CANARY})

    root, errors = parse(response.text)
    fields: list[Any] = [each for each in root.walk() if each.attributes.get("id") == "q"]
    assert (errors, [each.attributes["value"] for each in fields]) == ([], [CANARY])


def test_a_page_is_in_the_language_of_the_browser_if_there_is_a_translation(
    app: Flask, client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "messages.mo").write_bytes(
        compiled({"": "Content-Type: text/plain; charset=UTF-8\n", "Sign in": "Anmelden"})
    )
    monkeypatch.setattr(web_texts, "FOLDER", tmp_path)
    web_texts.languages.cache_clear()
    build(client)
    visitor = visit(app, None)
    try:
        german, english = (
            visitor.get("/app/login", headers={"Accept-Language": accepted}).text
            for accepted in ("de-AT,de;q=0.9,en;q=0.5", "fr,en;q=0.5")
        )
    finally:
        web_texts.languages.cache_clear()

    assert ('lang="de"' in german, "<h1>Anmelden</h1>" in german) == (True, True)
    assert ('lang="en"' in english, "<h1>Sign in</h1>" in english) == (True, True)


def compiled(messages: Mapping[str, str]) -> bytes:
    """Return a catalog as `msgfmt` writes it: a header, two tables of lengths and offsets, and the texts."""
    pairs = sorted((one.encode(), other.encode()) for one, other in messages.items())
    of_originals, of_translations, data = b"", b"", b""
    start = 28 + 16 * len(pairs)
    for original, _ in pairs:
        of_originals += struct.pack("<II", len(original), start + len(data))
        data += original + b"\0"
    for _, translation in pairs:
        of_translations += struct.pack("<II", len(translation), start + len(data))
        data += translation + b"\0"
    header = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    return header + of_originals + of_translations + data


def test_the_file_for_translators_has_texts_of_code_templates_and_errors() -> None:
    entries = catalog()

    for entry in (
        'msgid "%(code)s is closed. Students who are enrolled stay."',
        'msgid "Skip to the content"',
        'msgid "Registration closed"',
        'msgid "%(num)s course"\nmsgid_plural "%(num)s courses"\nmsgstr[0] ""',
    ):
        assert entry in entries
    assert entries.count("\nmsgid ") == len(texts()) + 1


def test_every_text_that_names_the_reader_is_one_of_a_page_or_of_the_api() -> None:
    of_api = {code.meaning for code in all_codes().values()}
    of_pages = {text for one in texts() for text in one}

    remedy = "Remove or correct them in src/course_management/web/addressing.py."
    assert TO_STUDENT.keys() - of_api == set(), remedy
    assert OF_STUDENT.keys() - of_pages - of_api == set(), remedy


def test_a_reason_speaks_to_the_student_and_of_the_student_to_the_staff(
    app: Flask, client: FlaskClient, student: Make, course: Make, open_term: Make, enroll: Any
) -> None:
    person = client.post("/people", json={"name": "Rita", "roles": ["registrar"]}).get_json()["id"]
    ada, term_id = student(), open_term(credit_limit=3)
    enroll(ada, course(term_id=term_id, credits=3))
    second = course(term_id=term_id, credits=3)

    own = visit(app, Owner(student_id=ada)).get(f"/app/courses/{second}").text
    of_staff = visit(app, Owner(person_id=person)).get(f"/app/registrar/students/{ada}/courses/{second}").text

    assert "You would take more credits" in own
    assert "Your limit: 3 credits. You have 3" in own
    assert "The student would take more credits" in of_staff
    assert "The limit: 3 credits. The student has 3" in of_staff
