"""The pages of registrars about students and the office: what they do, and who is named in the ledger for it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from .checking import Element, parse
from .school import ORIGIN, School

Browser = Callable[[str], FlaskClient]
STUDENT = "/app/registrar/students/{student_id}"


@pytest.fixture
def registrar(browser: Browser) -> FlaskClient:
    return browser("registrar")


def send(visitor: FlaskClient, path: str, **fields: Any) -> Any:
    """Send a form, and return the response."""
    return visitor.post(path, data=fields, headers=ORIGIN)


def main_of(response: Any) -> Element:
    """Return the content of a page."""
    root, _ = parse(response.text)
    return next(each for each in root.walk() if each.tag == "main")


def text_of(response: Any) -> str:
    """Return the text of the content of a page."""
    return main_of(response).text


def hidden(response: Any, name: str = "version") -> str:
    """Return the value of the first hidden field with this name."""
    fields = (each.attributes for each in main_of(response).walk() if each.tag == "input")
    return next(each["value"] for each in fields if each.get("name") == name)


def about(ids: Mapping[str, Any], path: str = "") -> str:
    """Return the path of a page about the student."""
    return STUDENT.format(**ids) + path


@pytest.mark.parametrize("words", ["lovelace", "ada@example.edu", "A1", "1"])
def test_a_student_is_found_by_what_an_office_knows(registrar: FlaskClient, school: School, words: str) -> None:
    sent = send(registrar, "/app/registrar/students", q=words)
    response = registrar.get(sent.headers["Location"])

    assert (sent.status_code, words in sent.headers["Location"].replace("found=true", "")) == (303, False)
    assert response.text.index("1 student was found.") < response.text.index("</title>")
    assert "Ada Lovelace" in text_of(response)
    # As the button Back of the browser asks for it, after a look at a student; until the sign-out.
    registrar.get(about(school.ids))
    assert "Ada Lovelace" in text_of(registrar.get(sent.headers["Location"]))
    assert "Ada Lovelace" not in text_of(registrar.get("/app/registrar/students"))
    forgotten = send(registrar, "/app/logout").headers.getlist("Set-Cookie")
    assert any("students-search=;" in cookie and "Max-Age=0" in cookie for cookie in forgotten)
    assert f"/app/registrar/students/{school.ids['student_id']}" in response.text


def test_a_search_without_a_result_says_what_to_do(registrar: FlaskClient) -> None:
    found = send(registrar, "/app/registrar/students", q="nobody").headers["Location"]
    assert "No student was found. Use fewer words" in text_of(registrar.get(found))


def test_an_advisor_sees_the_own_students_only(browser: Browser, school: School) -> None:
    assert "Ada Lovelace" in text_of(browser("the advisor").get("/app/registrar/my-students"))
    refused = browser("another advisor").get(about(school.ids))
    assert (refused.status_code, "Ada" in refused.text) == (404, False)


def test_the_staff_sees_what_the_student_sees(browser: Browser, registrar: FlaskClient, school: School) -> None:
    own = main_of(browser("the student").get("/app/my-courses"))
    shown = main_of(registrar.get(about(school.ids, "/my-courses")))

    def rows(page: Element) -> list[str]:
        return [each.text.removesuffix(" Swap…") for each in page.walk() if each.tag == "tr"]

    assert rows(own) == rows(shown)
    assert len(rows(own)) == 3


def test_a_refused_course_says_why_and_a_permission_lets_the_student_in(
    registrar: FlaskClient, school: School, client: FlaskClient
) -> None:
    course = about(school.ids, f"/courses/{school.ids['clashing_id']}")

    refused = send(registrar, f"{course}/enroll")
    without_reason = send(registrar, f"{course}/enroll", permit="true")
    enrolled = send(registrar, f"{course}/enroll", permit="true", reason="Both meet only twice")

    assert (refused.status_code, "Time conflict" in text_of(refused)) == (409, True)
    assert (without_reason.status_code, "Give the reason" in text_of(without_reason)) == (422, True)
    assert enrolled.headers["Location"] == about(school.ids, "/my-courses")
    assert "The student is enrolled in PH1." in text_of(registrar.get(about(school.ids, "/my-courses")))
    permissions = client.get(f"/students/{school.ids['student_id']}/permissions").get_json()["items"]
    assert [(each["rule"], each["reason"]) for each in permissions[-1:]] == [("time_conflict", "Both meet only twice")]


def test_the_ledger_names_who_enrolled_and_dropped_on_behalf_and_why(registrar: FlaskClient, school: School) -> None:
    other, ids = "2", school.ids
    course = f"/app/registrar/students/{other}/courses/{ids['clashing_id']}"

    assert send(registrar, f"{course}/enroll", reason="By phone").status_code == 303
    assert "The student loses the seat at once." in text_of(registrar.get(f"{course}/drop"))
    assert send(registrar, f"{course}/drop", reason="By letter").status_code == 303

    ledger = text_of(registrar.get(f"/app/registrar/students/{other}/ledger"))
    assert re.search(r"PH1 enrolled not enrolled.*Registrar \(registrar\) By letter", ledger)
    assert re.search(r"PH1 not enrolled enrolled.*Registrar \(registrar\) By phone", ledger)


def test_pages_name_who_has_changed_something_by_one_statement(
    registrar: FlaskClient, browser: Browser, school: School, statements: list[str]
) -> None:
    ids = school.ids
    values = {"kind": "financial", "contact": "Bursar", "blocks": "both"}
    send(registrar, about(ids, "/holds"), **values)
    send(registrar, about(ids, "/permissions"), course="PH1", rule="time_conflict", reason="Agreed")
    own = browser("another student")
    send(own, f"/app/courses/{ids['clashing_id']}/enroll")
    course = f"/app/registrar/courses/{ids['clashing_id']}"

    texts = {path: text_of(registrar.get(about(ids, path))) for path in ("/holds", "/permissions", "/ledger")}
    statements.clear()
    history = text_of(registrar.get(f"{course}/history"))

    assert "by Registrar (registrar)" in texts["/holds"]
    assert "by Registrar (registrar)" in texts["/permissions"]
    assert "by test (program)" in texts["/permissions"]
    assert "Registrar (registrar)" in texts["/ledger"]
    assert "Alan Turing (student)" in history
    assert sum("AS kind" in statement for statement in statements) == 1


def test_a_hold_is_placed_and_released_and_the_note_stays_with_the_staff(
    registrar: FlaskClient, browser: Browser, school: School
) -> None:
    values = {"kind": "financial", "contact": "Bursar", "blocks": "enroll", "note": "Invoice 4711"}
    assert send(registrar, about(school.ids, "/holds"), **values).status_code == 303

    page = registrar.get(about(school.ids, "/holds"))
    assert "Invoice 4711" in text_of(page)
    seen = text_of(browser("the student").get("/app/registration"))
    assert ("Bursar" in seen, "Invoice" in seen) == (True, False)
    release = max(re.findall(r'href="([^"]+/holds/\d+/release)"', page.text))
    asked = text_of(registrar.get(release))
    assert ("Release the hold “financial”?" in asked, "no longer stops enrolling" in asked) == (True, True)
    assert send(registrar, release).status_code == 303
    assert "Bursar" not in text_of(browser("the student").get("/app/registration"))
    assert "Hold released" in text_of(registrar.get(about(school.ids, "/ledger")))


def test_a_hold_that_would_have_ended_already_is_refused(registrar: FlaskClient, school: School) -> None:
    values = {"kind": "financial", "contact": "Bursar", "blocks": "enroll", "until": "2020-01-01T00:00"}
    refused = send(registrar, about(school.ids, "/holds"), **values)
    assert (refused.status_code, "Until must be in the future." in text_of(refused)) == (422, True)


def test_a_permission_names_the_course_by_its_code_and_can_be_revoked(registrar: FlaskClient, school: School) -> None:
    path = about(school.ids, "/permissions")
    values = {"course": "PH1", "rule": "time_conflict", "reason": "Agreed"}

    assert "There is no course with the code PH9." in text_of(send(registrar, path, **{**values, "course": "PH9"}))
    assert send(registrar, path, **values).status_code == 303
    assert send(registrar, path, **values).status_code == 409
    revoke = re.findall(r'href="([^"]+/permissions/\d+/revoke)"', registrar.get(path).text)
    assert len(revoke) == 3
    assert "Revoke the permission for PH1?" in text_of(registrar.get(revoke[0]))
    assert [send(registrar, each).status_code for each in revoke * 2] == [303] * 6
    assert "The student has no permission." in text_of(registrar.get(path))


def test_a_form_of_a_page_that_is_no_longer_true_changes_nothing(registrar: FlaskClient, school: School) -> None:
    before = hidden(registrar.get(about(school.ids)))
    record = {"name": "Ada King", "email": "ada@example.edu", "external_id": "A1"}

    assert send(registrar, about(school.ids, "/groups"), version=before).status_code == 303
    stale = send(registrar, about(school.ids, "/groups"), version="other", group_ids=school.ids["group_id"])
    stale_record = send(registrar, about(school.ids), version="other", **record)

    for response in (stale, stale_record):
        assert (response.status_code, "Somebody has changed this" in text_of(response)) == (412, True)
    page = registrar.get(about(school.ids))
    assert "Ada Lovelace" in text_of(page)
    version = re.findall(r'name="version" value="(\w+)"', page.text)[-1]
    assert send(registrar, about(school.ids), version=version, **record).status_code == 303
    assert "Ada King" in text_of(registrar.get(about(school.ids)))


def test_completions_and_limits_are_recorded_changed_and_removed(registrar: FlaskClient, school: School) -> None:
    path, limits = about(school.ids, "/completions"), about(school.ids, "/limits")
    values = {
        "catalog_id": "cs 1 ",
        "term_code": "2024/2",
        "grade": "B+",
        "points": "3,33",
        "credits": "4",
        "passed": "true",
    }

    assert send(registrar, path, **values).status_code == 303
    assert "CS 1 Programming 2024/2 B+ 3.33 4 yes" in text_of(registrar.get(path))
    removed = {"catalog_id": school.ids["catalog_id"], "term_code": "2024/2"}
    asked = registrar.get(f"{path}/delete", query_string=removed)
    assert "Delete the completion of CS 1 in 2024/2?" in text_of(asked)
    assert 'value="2024/2"' in asked.text
    assert send(registrar, f"{path}/delete", **removed).status_code == 303
    assert "2024/2" not in text_of(registrar.get(path)).replace("The completion of CS 1 in 2024/2", "")
    assert send(registrar, limits, term_id=school.ids["term_id"], credit_limit="21").status_code == 303
    assert "2026 Fall 2026 12 21" in text_of(registrar.get(limits))
    assert send(registrar, limits, term_id=school.ids["term_id"], credit_limit="").status_code == 303
    assert "2026 Fall 2026 12 that of the term" in text_of(registrar.get(limits))
    assert send(registrar, limits, term_id=school.ids["term_id"], credit_limit="many").status_code == 422


def test_a_person_gets_a_role_a_student_to_advise_and_an_account(
    registrar: FlaskClient, school: School, client: FlaskClient
) -> None:
    created = send(registrar, "/app/registrar/people", name="Katherine Johnson", roles="advisor")
    path = created.headers["Location"]
    person_id = int(path.rpartition("/")[2])

    assert send(registrar, f"{path}/advise", student_id=school.ids["student_id"]).status_code == 303
    assert send(registrar, f"{path}/accounts", issuer="https://login.example.edu", subject="kj").status_code == 303
    taken = send(registrar, f"{path}/accounts", issuer="https://login.example.edu", subject="kj")

    assert taken.status_code == 409
    person = client.get(f"/people/{person_id}").get_json()
    assert (person["roles"], person["advises"]) == (["advisor"], [school.ids["student_id"]])
    version = hidden(registrar.get(path))
    assert send(registrar, path, version=version, name="Katherine Johnson").status_code == 303
    assert send(registrar, path, version=version, name="Stale").status_code == 412
    person = client.get(f"/people/{person_id}").get_json()
    assert (person["name"], person["roles"], person["advises"]) == ("Katherine Johnson", [], [1])
    delete = re.findall(r'href="([^"]+/accounts/\d+/delete)"', registrar.get(path).text)
    assert "It is the only account of this person." in text_of(registrar.get(delete[0]))
    assert [send(registrar, each).status_code for each in delete] == [303]
    assert client.get(f"/people/{person_id}/accounts").get_json()["items"] == []


def test_a_key_is_shown_once_and_works_until_it_is_revoked(app: Flask, registrar: FlaskClient) -> None:
    created = send(registrar, "/app/registrar/keys", name="library", scopes="courses:read")
    secret = re.findall(r"<code>(cmk_\w+)</code>", created.text)[0]
    page = registrar.get("/app/registrar/keys")

    def status() -> int:
        return app.test_client().get("/courses", headers={"Authorization": f"Bearer {secret}"}).status_code

    assert (created.status_code, created.headers["Cache-Control"]) == (201, "private, no-store")
    assert (secret in page.text, status()) == (False, 200)
    revoke = re.findall(r'href="(/app/registrar/keys/\d+/revoke)"', page.text)[-1]
    assert "library" in text_of(registrar.get(revoke))
    assert send(registrar, revoke).status_code == 303
    assert "Keys that have ended" in text_of(registrar.get("/app/registrar/keys"))


def test_a_registrar_cannot_give_a_key_more_than_a_registrar_has(registrar: FlaskClient) -> None:
    assert send(registrar, "/app/registrar/keys", name="library", scopes="admin").status_code == 403
    assert send(registrar, "/app/registrar/keys", name="library").status_code == 422


def test_the_report_of_an_import_can_be_read_and_downloaded(registrar: FlaskClient, school: School) -> None:
    path = f"/app/registrar/imports/{school.ids['import_id']}"

    page, report = text_of(registrar.get(path)), registrar.get(f"{path}/report.csv")

    assert "planned; nothing was changed" in page
    assert "E-mail address taken" in page
    assert list(csv.reader(io.StringIO(report.text))) == [
        ["file", "line", "external_id", "outcome", "code", "detail"],
        ["students.csv", "2", "A2", "refuse", "email_taken", "Taken"],
    ]
    assert report.headers["Content-Disposition"] == f"attachment; filename=import-{school.ids['import_id']}.csv"


def test_the_files_are_those_of_the_api(registrar: FlaskClient, client: FlaskClient, school: School) -> None:
    client.post("/courses", json={"code": "OLD1", "title": "Without a term"})
    for name, query in (("students", ""), ("courses", f"?term_id={school.ids['term_id']}"), ("enrollments", "")):
        page = registrar.get(f"/app/registrar/exports/{name}.csv{query}")
        assert page.data == client.get(f"/exports/{name}.csv{query}").data
        assert (page.data.count(b"\n") > 2, b"OLD1" in page.data) == (True, False)
    assert registrar.get("/app/registrar/exports/students.csv?term_id=99").status_code == 404
    assert registrar.get("/app/registrar/exports/students.csv?term_id=").status_code == 200
