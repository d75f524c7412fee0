"""Texts: everything goes through gettext, and everything that is stored is shown as text."""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterator
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from .checking import parse, words
from .pages import Page, pages
from .school import School, build, visit

KINDS = ("the student", "the instructor", "the advisor", "registrar")
DATA = "§"
"""The mark of each text that is stored in the database of these tests."""
FREE = re.compile(r"[\W\d_]*|UTC|\w+:\w+|[\d:]+\u2013[\d:]+,?|system|demo|portal|test|\w+@example\.edu", re.ASCII)
"""What needs no translation: numbers, signs, times, zones, actors of the ledger, keys, e-mail addresses."""


class Pseudo(gettext.NullTranslations):
    """A language in which each text is put between brackets: what stands outside of them was not translated."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
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


def test_no_text_of_a_page_is_left_untranslated(app: Flask, client: FlaskClient) -> None:
    school = build(client, lambda name: f"{DATA}{name}{DATA}")
    app.extensions["translations"] = Pseudo()
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
    assert found == {}
    assert shown > 10


def test_a_text_without_translation_would_be_found() -> None:
    assert outside("⟦Seats: ⟦one⟧⟧ free") == "free"
    assert not FREE.fullmatch("free")


CANARY = "<canary onmouseover=1>\"'&lt;%s{{7*7}}"


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
