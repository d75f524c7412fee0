"""Every page, visited by each kind of caller: the access rows decide, and the tests find new pages by them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from .checking import faults, parse
from .pages import FRAGMENTS, REDIRECTS, Page, pages, verdict
from .school import ORIGIN, VISITORS, School

Browser = Callable[[str], FlaskClient]


def visits(app: Flask, browser: Browser, method: str) -> Iterator[tuple[str, FlaskClient, Page]]:
    """Yield each page (GET) or action (POST) with the browser of each kind of visitor."""
    for kind in VISITORS:
        visitor = browser(kind)
        for page in pages(app, method):
            yield kind, visitor, page


def test_every_page_is_shown_to_those_whom_its_row_permits_and_to_nobody_else(
    app: Flask, browser: Browser, school: School
) -> None:
    different = {}

    for kind, visitor, page in visits(app, browser, "GET"):
        response = visitor.get(page.path(school.ids))

        expected = verdict(page, kind)
        where = response.headers.get("Location", "")
        if expected == "401":
            is_as_expected = response.status_code == 303 and where.startswith("/app/login?next=")
        elif expected == "yes":
            is_as_expected = response.status_code == 200 or (page.rule in REDIRECTS and response.status_code < 500)
        else:
            is_as_expected = response.status_code == int(expected)
        if not is_as_expected:
            different[page.rule, kind] = (expected, response.status_code, where)
    assert different == {}


def test_no_form_does_anything_for_those_whom_its_row_does_not_permit(
    app: Flask, browser: Browser, school: School
) -> None:
    different = {}

    for kind, visitor, page in visits(app, browser, "POST"):
        expected = verdict(page, kind)
        if expected == "yes":
            continue
        response = visitor.post(page.path(school.ids), headers=ORIGIN)
        is_as_expected = (
            response.headers.get("Location") == "/app/login?lost=1"
            if expected == "401"
            else response.status_code == int(expected)
        )
        if not is_as_expected:
            different[page.rule, kind] = (expected, response.status_code)
    assert different == {}


@pytest.mark.one_database
def test_every_page_is_sound_html_and_leads_only_to_pages_that_exist(
    app: Flask, browser: Browser, school: School
) -> None:
    found, links, shown = {}, set(), 0

    for kind, visitor, page in visits(app, browser, "GET"):
        response = visitor.get(page.path(school.ids))
        if response.mimetype != "text/html" or not response.data or response.status_code in {302, 303}:
            continue
        shown += 1
        if page.rule not in FRAGMENTS and (wrong := faults(response.text)):
            found[page.rule, kind] = wrong
        root, _ = parse(response.text)
        if response.status_code == 200:
            of_page = {each.attributes["href"] for each in root.walk() if each.tag == "a" and "href" in each.attributes}
            links |= {(kind, link) for link in of_page if link.startswith("/")}

    browsers = {kind: browser(kind) for kind, _ in links}
    broken = {(kind, link) for kind, link in links if browsers[kind].get(link).status_code >= 400}
    assert (found, broken) == ({}, set())
    assert shown > 20


def test_every_response_of_a_page_has_its_security_headers(browser: Browser) -> None:
    for path in ("/app/courses", "/app/nothing", "/app/login", "/app/registrar"):
        headers = browser("the student").get(path).headers
        assert "script-src 'self'; style-src 'self'" in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "private, no-store"


def test_the_assets_of_a_page_exist_and_are_cached_permanently(browser: Browser) -> None:
    root, _ = parse(browser("no credentials").get("/app/login").text)
    addresses = [
        each.attributes.get("href") or each.attributes.get("src")
        for each in root.walk()
        if each.tag in {"link", "script"}
    ]

    for address in addresses:
        response = browser("no credentials").get(str(address))
        assert (response.status_code, "immutable" in response.headers["Cache-Control"]) == (200, True)
    assert len(addresses) == 5
    assert browser("no credentials").get("/app/assets/0/app.css").status_code == 404
