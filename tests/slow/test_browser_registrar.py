"""A registrar and an instructor in Chromium: who waits and why, a permission, more seats, two tabs, a roster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page

from ..web.school import School
from .test_browser import AXE, CHROMIUM, TAGS, chromium, client, school, server, visit

__all__ = ["chromium", "client", "school", "server", "visit"]
pytestmark = [
    pytest.mark.one_database,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt install chromium)"),
]
Visit = Callable[..., Page]


@pytest.fixture
def waiting(client: FlaskClient, school: School) -> list[int]:
    """Return two students on the waitlist of the course that Emmy teaches: a rule stops the first one."""
    course_id = school.ids["course_id"]
    students: list[int] = []
    for name in ("Hedy Lamarr", "Radia Perlman"):
        student_id = client.post("/students", json={"name": name}).get_json()["id"]
        for rule in ("prerequisite_missing", "linked_course_missing"):
            body = {"course_id": course_id, "rule": rule, "reason": "Transfer"}
            permission = client.post(f"/students/{student_id}/permissions", json=body).get_json()
        body = {"course_ids": [course_id], "waitlist": True}
        assert client.post(f"/students/{student_id}/enroll", json=body).status_code == 201
        if not students:  # the permission about the lab ends while Hedy waits
            client.delete(f"/students/{student_id}/permissions/{permission['id']}")
        students.append(student_id)
    return students


@pytest.mark.parametrize("javascript", [True, False])
def test_a_registrar_sees_who_waits_and_why_lets_somebody_in_and_raises_the_limit(
    school: School,
    visit: Visit,
    client: FlaskClient,
    waiting: list[int],
    javascript: bool,
) -> None:
    course_id = school.ids["course_id"]
    page = visit("registrar", java_script_enabled=javascript)
    page.get_by_role("link", name="Courses", exact=True).click()
    page.get_by_label("Show").select_option("waiting")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="CS1", exact=True).click()
    page.get_by_role("button", name="Change the number of seats…").click()
    page.get_by_label("Seats", exact=True).fill("2")
    page.get_by_role("button", name="Show what this would do").click()

    effect = page.locator("section.notice").inner_text()
    assert "1 student is promoted from the waitlist." in effect
    assert "Hedy Lamarr: Linked course missing" in effect
    page.get_by_role("button", name="Save: 2 seats").click()

    assert "1 student was promoted from the waitlist." in page.get_by_role("status").inner_text()
    page.get_by_role("link", name="Waitlist", exact=True).click()
    assert "Hedy Lamarr" in page.get_by_role("row").nth(1).inner_text()
    assert "Rules stop the student" in page.get_by_role("row").nth(1).inner_text()
    page.get_by_role("link", name="Grant a permission to Hedy Lamarr: Linked course missing").click()
    page.get_by_label("Reason").fill("The lab is next term")
    page.get_by_role("button", name="Grant the permission").click()
    assert "has a permission: Linked course missing" in page.get_by_role("status").inner_text()
    page.goto(f"/app/registrar/courses/{course_id}/limits?capacity=3&waitlist_capacity=5")
    page.get_by_role("button", name="Save: 3 seats").click()
    page.get_by_role("link", name="Roster", exact=True).click()

    assert [name in page.locator("main").inner_text() for name in ("Hedy Lamarr", "Radia Perlman")] == [True, True]
    assert client.get(f"/courses/{course_id}").get_json()["waiting"] == 0
    assert waiting


def test_a_form_in_a_second_tab_is_refused_when_it_is_older_than_what_is_stored(
    school: School,
    visit: Visit,
    client: FlaskClient,
) -> None:
    path = f"/app/registrar/courses/{school.ids['course_id']}/meetings"
    first = visit("registrar")
    second = first.context.new_page()
    for page in (first, second):
        page.goto(path)
    first.get_by_label("Place, row 1").fill("Hall 4")
    first.get_by_role("button", name="Save the meetings").click()
    first.get_by_role("status").wait_for()

    second.get_by_label("Place, row 1").fill("Hall 5")
    second.get_by_role("button", name="Save the meetings").click()

    assert "Somebody has changed this" in second.get_by_role("alert").first.inner_text()
    assert second.get_by_label("Place, row 1").input_value() == "Hall 5"
    stored = client.get(f"/courses/{school.ids['course_id']}/meetings").get_json()
    assert [meeting["place"] for meeting in stored] == ["Hall 4"]
    second.get_by_role("link", name="Open the form again").click()
    assert second.get_by_label("Place, row 1").input_value() == "Hall 4"


@pytest.mark.parametrize("javascript", [True, False])
def test_an_instructor_downloads_the_roster_of_the_own_course(
    visit: Visit,
    tmp_path: Path,
    javascript: bool,
) -> None:
    page = visit("the instructor", java_script_enabled=javascript)
    page.get_by_role("link", name="Roster of CS1").click()

    with page.expect_download() as started:
        page.get_by_role("link", name="Download as a spreadsheet (CSV)").click()
    started.value.save_as(tmp_path / "roster.csv")

    assert "Ada Lovelace" in (tmp_path / "roster.csv").read_text()
    assert page.get_by_role("link", name="Details").count() == 0


def test_a_refused_form_moves_the_focus_to_what_is_wrong_and_from_there_to_the_field(
    school: School, visit: Visit
) -> None:
    page = visit("registrar", bypass_csp=True)
    course, student = (f"/app/registrar/{kind}/{school.ids[f'{kind[:-1]}_id']}" for kind in ("courses", "students"))
    for path, button, field in (
        (f"{course}/meetings", "Save the meetings", "starts-1"),
        (f"{course}/details", "Save", "code"),
        (f"{student}/holds", "Place the hold", "kind"),
        ("/app/registrar/keys", "Create the key", "name"),
    ):
        page.goto(path)
        page.locator(f"#{field}").fill("")
        page.evaluate("document.querySelectorAll('form').forEach(form => { form.noValidate = true })")
        page.get_by_role("button", name=button, exact=True).click()
        page.get_by_role("alert").first.wait_for()

        assert page.title().startswith("Error: "), path
        assert page.evaluate("document.activeElement.getAttribute('role')") == "alert", path
        page.add_script_tag(path=AXE)
        violations = page.evaluate("tags => axe.run({runOnly: tags})", TAGS)["violations"]
        assert [violation["id"] for violation in violations] == [], path
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == field, path
