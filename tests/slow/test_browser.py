"""The pages in Chromium: axe, sizes, the console, keyboard, and a student's day, with and without JavaScript."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright
from sqlalchemy.engine import URL

from course_management.access import sessions

from ..support.real_server import PATIENT, Server
from ..web.conftest import client, school
from ..web.pages import FRAGMENTS, REDIRECTS, pages, verdict
from ..web.school import School

__all__ = ["client", "school"]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
AXE = Path(__file__).parent.parent / "web" / "vendored" / "axe-4.14.1.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
pytestmark = [
    pytest.mark.one_database,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt install chromium)"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # The tests may run as root in a container, where the sandbox of Chromium cannot start.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def server(tmp_path: Path, database: URL, school: School) -> Iterator[str]:
    """Serve the school, and return the address."""
    assert school
    # The tests of all pages read more of them in a minute than a person may.
    found = Server(tmp_path, database, LOG_LEVEL="warning", RATELIMIT_READS="none", **PATIENT)
    try:
        found.wait()
        yield f"http://127.0.0.1:{found.port}"
    finally:
        found.end()


@pytest.fixture
def visit(app: Flask, chromium: Browser, server: str, school: School) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a browser in which a visitor of this kind has signed in."""
    contexts: list[BrowserContext] = []

    def make(kind: str, **options: Any) -> Page:
        owner = school.owners[kind]
        assert owner is not None
        with app.app_context():
            code = sessions.create_link(owner)
        context = chromium.new_context(base_url=server, **options)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"/app/sign-in/{code}")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("status").wait_for()
        return page

    yield make
    for each in contexts:
        each.close()


def note(messages: list[str], message: ConsoleMessage) -> None:
    """Note what a page writes to the console."""
    messages.append(message.text)


KINDS = ("the student", "the instructor", "the advisor", "registrar")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark"), (320, "light")])
def test_every_page_is_accessible_fits_the_screen_and_breaks_no_policy(
    app: Flask, school: School, visit: Callable[..., Page], width: int, scheme: str
) -> None:
    wrong: dict[str, Any] = {}
    for kind in KINDS:
        page = visit(kind, viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True)
        strict = visit(kind, viewport={"width": width, "height": 800}, color_scheme=scheme)
        messages: list[str] = []
        strict.on("console", partial(note, messages))
        for each in pages(app, "GET"):
            if each.rule in FRAGMENTS | REDIRECTS or verdict(each, kind) != "yes":
                continue
            path = each.path(school.ids)
            strict.goto(path)
            page.goto(path)
            page.add_script_tag(path=AXE)
            found = page.evaluate("tags => axe.run({runOnly: tags})", TAGS)["violations"]
            too_wide = strict.evaluate("document.documentElement.scrollWidth > innerWidth")
            if found or too_wide or messages:
                wrong[f"{kind} {path}"] = ([violation["id"] for violation in found], too_wide, [*messages])
            messages.clear()
    assert wrong == {}


@pytest.mark.parametrize("javascript", [True, False])
def test_a_student_swaps_and_drops_and_is_told_what_happened(
    school: School, visit: Callable[..., Page], client: FlaskClient, javascript: bool
) -> None:
    page = visit("another student", java_script_enabled=javascript)
    clashing = school.ids["clashing_id"]

    page.goto("/app/courses?q=PH1")
    page.get_by_role("button", name="Enroll in PH1").click()
    assert page.get_by_role("status").inner_text() == "You are enrolled in PH1."
    page.get_by_role("link", name="Drop PH1…").click()
    page.get_by_role("button", name="Drop the course").click()

    assert page.get_by_role("status").inner_text() == "You have dropped PH1."
    assert "You have no courses yet" in page.inner_text("main")
    assert client.get(f"/courses/{clashing}").get_json()["seats_taken"] == 0


def test_a_student_enrolls_with_the_keyboard_alone(visit: Callable[..., Page]) -> None:
    page = visit("another student")
    page.goto("/app/courses?q=PH1")

    names: list[str] = []
    while "Enroll in PH1" not in names and len(names) < 40:
        page.keyboard.press("Tab")
        names.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.innerText")
        )
    page.keyboard.press("Enter")

    page.get_by_role("status").wait_for()
    assert names[0] == "Skip to the content"
    assert page.get_by_role("status").inner_text() == "You are enrolled in PH1."


def test_seats_are_refreshed_without_moving_the_focus(
    school: School, visit: Callable[..., Page], client: FlaskClient
) -> None:
    page, clashing = visit("another student"), school.ids["clashing_id"]
    page.clock.install()
    page.goto("/app/courses?q=PH1")
    button = page.get_by_role("button", name="Enroll in PH1")
    button.focus()
    client.patch(f"/courses/{clashing}", json={"capacity": 44})

    page.clock.run_for(16_000)
    page.get_by_text("44 of 44 seats free").wait_for()

    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Enroll in PH1"


def test_what_a_student_can_do_is_refreshed_unless_the_focus_is_there(
    school: School, visit: Callable[..., Page], client: FlaskClient
) -> None:
    page, clashing = visit("another student"), school.ids["clashing_id"]
    page.clock.install()
    page.goto("/app/courses?q=PH1")
    untouched = page.locator(f"#seats-{clashing}").element_handle()
    page.clock.run_for(16_000)
    page.wait_for_load_state("networkidle")
    assert untouched.evaluate("element => element.isConnected")  # nothing has changed, so nothing was replaced
    button = page.get_by_role("button", name="Enroll in PH1")
    button.focus()
    client.patch(f"/courses/{clashing}", json={"closed": True})

    page.clock.run_for(16_000)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Enroll in PH1"
    page.get_by_label("Words or code").focus()
    page.clock.run_for(16_000)

    page.get_by_text("Not possible for you").wait_for()
    assert page.evaluate("document.activeElement.id") == "q"


def test_the_button_back_leads_to_the_students_that_were_found(visit: Callable[..., Page]) -> None:
    page = visit("registrar")
    page.goto("/app/registrar/students")
    page.get_by_label("Name, e-mail address").fill("turing")
    page.get_by_role("button", name="Search").click()
    assert page.title().startswith("1 student was found.")
    page.get_by_role("link", name="Alan Turing").click()
    page.get_by_role("heading", name="Alan Turing").wait_for()

    page.go_back()

    page.get_by_role("link", name="Alan Turing").wait_for()
    assert "turing" not in page.url


def test_a_page_warns_before_the_session_ends_and_says_when_it_has(visit: Callable[..., Page]) -> None:
    page = visit("another student")
    page.clock.install()
    page.goto("/app/courses")
    page.clock.run_for(1_681_000)
    page.get_by_role("button", name="Stay signed in").wait_for()
    focused = "document.activeElement.innerText"
    assert page.evaluate(focused) == "Stay signed in"
    page.clock.run_for(121_000)  # the server's clock stands still: the session lasts, as if another tab had used it
    page.get_by_role("button", name="Stay signed in").wait_for(state="hidden")
    page.clock.run_for(1_681_000)
    page.get_by_role("button", name="Stay signed in").wait_for()
    page.context.clear_cookies()

    page.clock.run_for(121_000)

    page.get_by_text("You are signed out.").wait_for()
    assert page.evaluate(focused) == "Sign in again"


def test_the_button_back_shows_the_present_state(visit: Callable[..., Page]) -> None:
    page = visit("another student")
    page.goto("/app/courses?q=PH1")
    page.get_by_role("button", name="Enroll in PH1").click()
    page.get_by_role("status").wait_for()

    page.go_back()

    assert page.locator("tbody .status").inner_text() == "Enrolled"


def test_a_form_of_another_site_is_refused(
    visit: Callable[..., Page], server: str, school: School, client: FlaskClient
) -> None:
    page, clashing = visit("another student"), school.ids["clashing_id"]
    action = f"{server}/app/courses/{clashing}/enroll"
    page.route(
        "https://evil.example/",
        lambda route: route.fulfill(
            content_type="text/html", body=f'<form method="post" action="{action}"><button>Win</button></form>'
        ),
    )
    page.goto("https://evil.example/")
    page.get_by_role("button").click()
    page.wait_for_url(action)

    assert client.get(f"/courses/{clashing}").get_json()["seats_taken"] == 0


@pytest.mark.parametrize("javascript", [True, False])
def test_a_registrar_finds_a_student_grants_a_permission_and_enrolls_the_student(
    school: School, visit: Callable[..., Page], client: FlaskClient, javascript: bool
) -> None:
    page = visit("registrar", java_script_enabled=javascript)

    page.get_by_role("link", name="Students").click()
    page.get_by_label("Name, e-mail address").fill("turing")
    page.get_by_role("button", name="Search").click()
    assert "turing" not in page.url
    page.get_by_role("link", name="Alan Turing").click()
    tabs = page.get_by_role("navigation", name="Pages about the student")
    tabs.get_by_role("link", name="Permissions").click()
    page.get_by_label("Code of the course").fill("ART1")
    page.get_by_label("What is waived").select_option(label="Permission required")
    page.get_by_label("Reason").fill("Portfolio seen")
    page.get_by_role("button", name="Grant the permission").click()
    assert page.get_by_role("status").inner_text() == "Permission required is waived in ART1."
    tabs.get_by_role("link", name="Enroll").click()
    page.get_by_role("link", name="ART1").click()
    assert "Restricted" in page.inner_text("main")
    page.get_by_role("button", name="Enroll the student").click()
    assert "Not possible" in page.inner_text("main")
    page.go_back()
    page.get_by_label("grant permissions for: Restricted").check()
    page.get_by_label("Reason").fill("Second subject")
    page.get_by_role("button", name="Enroll the student").click()
    assert page.get_by_role("status").inner_text() == "The student is enrolled in ART1."
    tabs.get_by_role("link", name="Ledger").click()

    ledger = page.inner_text("main")
    assert "Second subject" in ledger
    assert "Registrar (registrar)" in ledger
    assert "Portfolio seen" in ledger
    (enrolled,) = client.get(f"/students/{school.owners['another student'].student_id}/courses").get_json()["courses"]  # type: ignore[union-attr]
    assert (enrolled["code"], enrolled["status"]) == ("ART1", "enrolled")
