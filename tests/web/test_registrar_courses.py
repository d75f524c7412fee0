"""The pages of registrars about courses: what they find, what they see before they save, and what saving does."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management.access.sessions import Owner

from ..support.fixture_types import Make
from .checking import Element, parse
from .school import ORIGIN, visit

People = Callable[..., FlaskClient]
STALE = "Somebody has changed this after you opened the form, so nothing was saved."


@pytest.fixture
def person(app: Flask, client: FlaskClient) -> People:
    """Return a function that makes a person, and returns the browser in which the person has signed in."""

    def make(*, teaches: int | None = None, **values: Any) -> FlaskClient:
        person_id = client.post("/people", json={"name": "Emmy Noether", **values}).get_json()["id"]
        if teaches:
            client.put(f"/courses/{teaches}/instructors", json=[person_id])
        return visit(app, Owner(person_id=person_id))

    return make


@pytest.fixture
def registrar(person: People) -> FlaskClient:
    return person(roles=["registrar"])


def main_of(response: Any) -> Element:
    root, errors = parse(response.text)
    assert errors == []
    return next(element for element in root.walk() if element.tag == "main")


def listed(response: Any) -> list[str]:
    """Return the headings of the rows of a page."""
    rows = [element for element in main_of(response).walk() if element.attributes.get("scope") == "row"]
    return [row.children[0].text if row.children else row.text for row in rows]


def fields_of(response: Any, action: str = "") -> dict[str, list[str]]:
    """Return what the form of a page sends as it is: the values of each field, one per row of a table."""
    forms = [
        element
        for element in main_of(response).walk()
        if element.tag == "form" and element.attributes.get("action", "").endswith(action)
    ]
    values: dict[str, list[str]] = {}
    for element in forms[-1].walk():
        name = element.attributes.get("name", "")
        if element.tag == "input":
            if element.attributes.get("type") == "checkbox" and "checked" not in element.attributes:
                continue
            values.setdefault(name, []).append(element.attributes.get("value", ""))
        elif element.tag == "select":
            options = [child for child in element.children if child.tag == "option"]
            chosen = [child for child in options if "selected" in child.attributes] or options[:1]
            values.setdefault(name, []).append(chosen[0].attributes["value"])
        elif element.tag == "textarea":
            values.setdefault(name, []).append("".join(element.texts).strip("\n"))
    return values


def post(browser: FlaskClient, path: str, **form: Any) -> Any:
    return browser.post(f"/app{path}", data=form, headers=ORIGIN, follow_redirects=True)


def test_registrars_find_full_courses_and_those_with_a_waitlist(
    registrar: FlaskClient, course: Make, student: Make, enroll: Any
) -> None:
    full, waited, nearly, _empty, unlimited = (
        course(code=code, capacity=capacity, waitlist_capacity=5)
        for code, capacity in (("FULL", 1), ("WAIT", 1), ("NEARLY", 11), ("EMPTY", 5), ("ANY", None))
    )
    for _number in range(11):
        enroll(student(), nearly if _number else unlimited)
    for course_id in (full, waited):
        enroll(student(), course_id)
    enroll(student(), waited, waitlist=True)

    def shown(query: str) -> list[str]:
        return listed(registrar.get(f"/app/registrar/courses{query}"))

    assert shown("?show=full") == ["FULL", "WAIT"]
    assert shown("?show=waiting") == ["WAIT"]
    assert shown("?show=nearly_full") == ["FULL", "NEARLY", "WAIT"]
    assert shown("?show=open") == ["ANY", "EMPTY", "NEARLY"]
    assert shown("?sort=taken") == ["FULL", "WAIT", "NEARLY", "ANY", "EMPTY"]
    assert shown("?sort=waiting") == ["WAIT", "ANY", "EMPTY", "FULL", "NEARLY"]
    assert shown("?q=near&term_id=&show=&sort=code") == ["NEARLY"]  # as the form sends it
    assert shown(f"?sort=taken&after={waited}") == ["NEARLY", "ANY", "EMPTY"]


def test_the_waitlist_says_why_each_student_waits_and_leads_to_a_permission(
    registrar: FlaskClient, client: FlaskClient, student: Make, course: Make, open_term: Make, enroll: Any
) -> None:
    course_id = course(term_id=open_term(), capacity=1, waitlist_capacity=5)
    holder, stopped, waiting = (student(name=name) for name in ("Ada", "Alan", "Grace"))
    for student_id in (holder, stopped, waiting):
        enroll(student_id, course_id, waitlist=True)
    client.patch(f"/courses/{course_id}", json={"permission_required": True})
    client.delete(f"/students/{holder}/unenroll", json={"course_id": course_id})

    page = registrar.get(f"/app/registrar/courses/{course_id}/waitlist")

    rows = [element.text for element in main_of(page).walk() if element.tag == "tr"][1:]
    assert rows[0].startswith(f"1 Alan id {stopped}")
    assert (
        "Rules stop the student: Permission required Grant a permission… A free seat went to somebody else" in rows[0]
    )
    link = re.search(r'href="([^"]*rule=permission_required)#grant"', page.text)
    assert link
    form = fields_of(registrar.get(link[1].replace("&amp;", "&")), "/permissions")
    assert (form["student_id"], form["rule"]) == ([str(stopped)], ["permission_required"])

    page = post(registrar, f"/registrar/courses/{course_id}/permissions", **form | {"reason": ["Her plan"]})

    assert f"Student {stopped} has a permission: Permission required." in main_of(page).text
    assert client.get(f"/students/{stopped}/courses").get_json()["courses"][0]["id"] == course_id
    ((permission,),) = (client.get(f"/students/{stopped}/permissions").get_json()["items"],)
    path = f"/registrar/courses/{course_id}/permissions/{permission['id']}/revoke"
    assert "The permission is revoked." in main_of(post(registrar, path, student_id=stopped)).text


def test_the_waitlist_of_a_full_course_says_what_would_stop_each_student_by_one_statement(
    registrar: FlaskClient,
    person: People,
    client: FlaskClient,
    statements: list[str],
    student: Make,
    course: Make,
    open_term: Make,
    enroll: Any,
) -> None:
    term_id = open_term(credit_limit=3)
    course_id = course(term_id=term_id, capacity=1, waitlist_capacity=9, credits=3)
    enroll(student(), course_id)
    held, busy, free = (student(name=name) for name in ("Ada", "Alan", "Grace"))
    for student_id in (held, busy):
        enroll(student_id, course_id, waitlist=True)
    enroll(busy, course(code="OTHER", term_id=term_id, credits=3))
    client.post(f"/students/{held}/holds", json={"kind": "library", "contact": "Desk", "blocks": "enroll"})
    path = f"/app/registrar/courses/{course_id}/waitlist"
    registrar.get(path)
    statements.clear()
    registrar.get(path)
    with_two = len(statements)
    enroll(free, course_id, waitlist=True)
    statements.clear()

    page = registrar.get(path)

    assert len(statements) == with_two
    rows = [element.text for element in main_of(page).walk() if element.tag == "tr"][1:]
    assert "Rules stop the student: Hold Hold: library. Contact: Desk. Holds" in rows[0]
    assert "Credit limit exceeded The limit: 3 credits. The student has 3" in rows[1]
    assert "No seat is free. No rule stops the student." in rows[2]
    links = {element.attributes["href"] for element in main_of(page).walk() if element.tag == "a"}
    assert {f"/app/registrar/students/{held}/holds", f"/app/registrar/students/{busy}/limits"} <= links
    of_instructor = main_of(person(teaches=course_id).get(path)).text
    assert "Rules stop the student: Hold" in of_instructor
    assert ("Desk" in of_instructor, "Let in" in of_instructor) == (False, False)


def test_a_registrar_lets_in_one_student_before_those_who_wait_longer(
    registrar: FlaskClient, client: FlaskClient, student: Make, course: Make, open_term: Make, enroll: Any, held: Any
) -> None:
    course_id = course(code="CS 1", term_id=open_term(), capacity=1, waitlist_capacity=5)
    holder, first, second = (student(name=name) for name in ("Ada", "Alan", "Grace"))
    for student_id in (holder, first, second):
        enroll(student_id, course_id, waitlist=True)
    client.patch(f"/courses/{course_id}", json={"permission_required": True})
    path = f"/registrar/students/{second}/courses/{course_id}/let-in"
    assert f"/app{path}" in registrar.get(f"/app/registrar/courses/{course_id}/waitlist").text

    text = main_of(registrar.get(f"/app{path}")).text

    assert (
        "position 2. 1 student waits longer, and keeps the place. Rules stop the student: Permission required" in text
    )
    assert "The course has 1 seat, which is taken. It can get one more for the student." in text
    assert post(registrar, path, adds_seat="true").status_code == 422  # without a reason
    refused = post(registrar, path, adds_seat="true", reason="Last year")
    assert (refused.status_code, "Permission required" in main_of(refused).text) == (409, True)
    full = post(registrar, path, permit="true", reason="Last year")
    assert (full.status_code, "Course full" in main_of(full).text) == (409, True)
    assert (held(second), client.get(f"/courses/{course_id}").get_json()["capacity"]) == ({course_id: "waitlisted"}, 1)
    assert client.get(f"/students/{second}/permissions").get_json()["items"] == []

    page = post(registrar, path, adds_seat="true", permit="true", reason="Last year")

    assert "Grace is enrolled in CS 1." in main_of(page).text
    assert (held(first), held(second)) == ({course_id: "waitlisted"}, {course_id: "enrolled"})
    assert client.get(f"/courses/{course_id}").get_json()["capacity"] == 2
    last = client.get(f"/courses/{course_id}/history").get_json()["items"][0]
    assert (last["student_id"], last["reason"], last["actor"][:10]) == (second, "Last year", "registrar:")
    again = post(registrar, path, adds_seat="true", reason="Twice")
    assert "was enrolled in CS 1 already" in main_of(again).text
    assert client.get(f"/courses/{course_id}").get_json()["capacity"] == 2


def test_the_effect_of_more_seats_is_said_before_they_are_saved(
    registrar: FlaskClient, client: FlaskClient, student: Make, course: Make, open_term: Make, enroll: Any
) -> None:
    course_id = course(term_id=open_term(), capacity=1, waitlist_capacity=5)
    students = [student(name=name) for name in ("Ada", "Alan", "Emmy", "Grace", "Lise")]
    for student_id in students:
        enroll(student_id, course_id, waitlist=True)
    hold = {"kind": "financial", "contact": "Bursar", "blocks": "enroll"}
    client.post(f"/students/{students[1]}/holds", json=hold)
    limits = f"/registrar/courses/{course_id}/limits"

    preview = registrar.get(f"/app{limits}?capacity=3&waitlist_capacity=5")

    text = main_of(preview).text
    assert "2 students are promoted from the waitlist. Emmy Grace 1 student is stopped" in text
    assert "by a rule and keeps the place: Alan : Hold" in text
    assert client.get(f"/courses/{course_id}").get_json()["capacity"] == 1

    page = post(registrar, limits, **fields_of(preview, "/limits"))

    assert "The limits are saved. 2 students were promoted from the waitlist." in main_of(page).text
    assert client.get(f"/courses/{course_id}").get_json()["waiting"] == 2
    assert "It will be refused: 3 students are enrolled" in main_of(registrar.get(f"/app{limits}?capacity=2")).text
    refused = post(registrar, limits, capacity="2", waitlist_capacity="5", version="old")
    assert (refused.status_code, client.get(f"/courses/{course_id}").get_json()["capacity"]) == (412, 3)


def test_without_a_term_every_free_seat_is_given(
    registrar: FlaskClient, client: FlaskClient, student: Make, course: Make, enroll: Any
) -> None:
    course_id = course(capacity=1, waitlist_capacity=5)
    for _number in range(3):
        enroll(student(), course_id, waitlist=True)
    path = f"/app/registrar/courses/{course_id}/limits?capacity="

    assert "2 students are promoted from the waitlist." in main_of(registrar.get(path)).text
    assert "1 student is promoted from the waitlist." in main_of(registrar.get(f"{path}2")).text
    assert "so nobody is promoted" in main_of(registrar.get(f"{path}1")).text
    client.patch(f"/courses/{course_id}", json={"closed": True})
    assert "0 students are promoted" in main_of(registrar.get(f"{path}2")).text


def test_a_form_that_is_older_than_what_is_stored_is_refused_and_keeps_what_was_entered(
    registrar: FlaskClient, client: FlaskClient, course: Make
) -> None:
    course_id = course(title="Programming")
    details = f"/registrar/courses/{course_id}/details"
    first = fields_of(registrar.get(f"/app{details}"), "/details")
    second = fields_of(registrar.get(f"/app{details}"), "/details")
    assert "is changed." in main_of(post(registrar, details, **first | {"title": ["Algorithms"]})).text

    page = post(registrar, details, **second | {"title": ["Databases"]})

    assert page.status_code == 412
    assert STALE in main_of(page).text
    assert fields_of(page, "/details")["title"] == ["Databases"]
    assert client.get(f"/courses/{course_id}").get_json()["title"] == "Algorithms"
    # The same form twice, as by a double click, is no conflict.
    assert post(registrar, details, **first | {"title": ["Algorithms"]}).status_code == 200


def test_meetings_are_edited_as_a_table(
    registrar: FlaskClient, client: FlaskClient, course: Make, open_term: Make
) -> None:
    course_id = course(term_id=open_term())
    path = f"/registrar/courses/{course_id}/meetings"
    form = fields_of(registrar.get(f"/app{path}"), "/meetings")
    assert (form["weekday"], form["starts_on"]) == ([""] * 3, ["2000-01-01"] * 3)
    days = {"starts_on": ["2026-09-01"] * 3, "ends_on": ["2026-12-18"] * 3}

    wrong = form | days | {"weekday": ["1", "", "3"], "starts": ["nine", "", "10:00"], "ends": ["10:00", "", "9:30"]}
    page = post(registrar, path, **wrong)

    assert page.status_code == 422
    rows = [element.text for element in main_of(page).walk() if element.tag == "tr"]
    assert "From must be a time from 00:00 to 24:00, such as 09:00." in rows[1]
    assert "To must be later than “From”." in rows[3]
    assert fields_of(page, "/meetings")["starts"][:3] == ["nine", "", "10:00"]

    right = fields_of(page, "/meetings") | {"starts": ["9:00", "", "10:00"], "ends": ["10:00", "", "11:00"]}
    saved = post(registrar, path, **{name: values[:3] for name, values in right.items()})

    assert "The meetings are saved." in main_of(saved).text
    stored = client.get(f"/courses/{course_id}/meetings").get_json()
    assert [(each["weekday"], each["starts"]) for each in stored] == [(1, "09:00"), (3, "10:00")]
    removed = fields_of(saved, "/meetings") | {"remove": ["0"]}
    post(registrar, path, **removed)
    assert [each["weekday"] for each in client.get(f"/courses/{course_id}/meetings").get_json()] == [3]
    assert STALE in main_of(post(registrar, path, **removed | {"remove": []})).text


def test_saving_meetings_names_the_students_with_a_time_conflict(
    registrar: FlaskClient, client: FlaskClient, student: Make, course: Make, open_term: Make, enroll: Any
) -> None:
    term_id = open_term()
    course_id, other = course(term_id=term_id), course(term_id=term_id)
    meeting = {"weekday": 1, "starts": "09:00", "ends": "10:00", "starts_on": "2026-09-01", "ends_on": "2026-12-18"}
    client.put(f"/courses/{other}/meetings", json=[meeting])
    ada = student(name="Ada Lovelace")
    enroll(ada, course_id, other)
    path = f"/registrar/courses/{course_id}/meetings"
    form = fields_of(registrar.get(f"/app{path}"), "/meetings")

    page = post(
        registrar, path, **{name: [form[name][0] if name == "version" else str(meeting.get(name, ""))] for name in form}
    )

    assert "1 student of the course now has another course at the same time; see below." in main_of(page).text
    assert f"Ada Lovelace id {ada}" in main_of(page).text


def test_rules_are_shown_as_sentences_and_changed(
    registrar: FlaskClient, client: FlaskClient, course: Make, open_term: Make, group: Make, entry: Make
) -> None:
    term_id, group_id = open_term(), group(title="Physics")
    first, second, required = entry(code="CS 173"), entry(code="MATH 213"), entry(code="CS 225")
    groups = [
        [{"catalog_id": first}],
        [{"catalog_id": second, "minimum_grade": "C", "minimum_points": 2}, {"group_id": group_id}],
    ]
    client.put(f"/catalog/{required}/prerequisites", json={"groups": groups})
    course_id, lab = course(term_id=term_id, catalog_id=required), course(code="LAB 1", term_id=term_id)
    path = f"/registrar/courses/{course_id}"
    page = registrar.get(f"/app{path}/rules")
    assert "(group P1 or MATH 213 with C) and CS 173" in main_of(page).text

    restrictions = fields_of(page, "/restrictions")
    restrictions["group_id"][0], restrictions["admits"][0] = str(group_id), ""
    page = post(registrar, f"{path}/restrictions", **restrictions)
    assert "Not for students of program: Physics" in main_of(page).text

    links = fields_of(page, "/links") | {"groups": [" lab  1\n"]}
    page = post(registrar, f"{path}/links", **links)
    assert "one of: LAB 1" in main_of(page).text
    assert client.get(f"/courses/{course_id}/links").get_json() == {"groups": [[lab]]}
    wrong = post(registrar, f"{path}/links", **fields_of(page, "/links") | {"groups": ["LAB 9"]})
    assert (wrong.status_code, "No course of this term has the code LAB 9." in wrong.text) == (422, True)


def test_the_past_roster_the_history_and_the_file_of_a_course(
    registrar: FlaskClient, client: FlaskClient, sql: Any, student: Make, course: Make, enroll: Any
) -> None:
    course_id, ada, alan = course(capacity=5), student(name="Ada"), student(name="=Alan")
    enroll(ada, course_id)
    enroll(alan, course_id)
    client.delete(f"/students/{ada}/unenroll", json={"course_id": course_id})
    path = f"/app/registrar/courses/{course_id}"
    before = sql("SELECT min(at) AS at FROM enrollment_events WHERE to_status = 'unenrolled'")[0].at
    assert before

    assert listed(registrar.get(f"{path}/roster")) == ["=Alan"]
    assert "Nobody was enrolled at that time." in main_of(registrar.get(f"{path}/roster?as_of=2000-01-01T00:00")).text
    future = registrar.get(f"{path}/roster?as_of=2999-01-01T00:00")
    assert (future.status_code, "This time has not come yet. Choose an earlier one" in future.text) == (422, True)
    assert listed(registrar.get(f"{path}/roster?as_of=")) == ["=Alan"]
    assert registrar.get(f"{path}/roster?as_of=yesterday").status_code == 422
    lines = [element.text for element in main_of(registrar.get(f"{path}/history")).walk() if element.tag == "tr"]
    assert f"Ada id {ada} not enrolled before: enrolled" in lines[1]
    client.patch(f"/courses/{course_id}", json={"code": "CS 225/Ä"})
    file = registrar.get(f"{path}/roster.csv?as_of=2020-02-01T00:00")
    assert file.headers["Content-Disposition"] == "attachment; filename=enrolled-CS-225-2020-02-01.csv"
    file = registrar.get(f"{path}/roster.csv")
    assert (file.mimetype, "'=Alan" in file.text) == ("text/csv", True)


def test_closing_a_course_is_said_and_can_be_undone(registrar: FlaskClient, client: FlaskClient, course: Make) -> None:
    course_id = course(code="CS 1")
    path = f"/registrar/courses/{course_id}"

    assert "Close CS 1?" in main_of(registrar.get(f"/app{path}/close")).text
    assert "CS 1 is closed. Students who are enrolled stay." in main_of(post(registrar, f"{path}/close")).text
    assert client.get(f"/courses/{course_id}").get_json()["closed"]
    assert "Open CS 1?" in main_of(registrar.get(f"/app{path}/open")).text
    assert "CS 1 is open." in main_of(post(registrar, f"{path}/open")).text
    assert not client.get(f"/courses/{course_id}").get_json()["closed"]


def test_a_course_is_created_and_a_code_that_is_taken_is_said(registrar: FlaskClient, client: FlaskClient) -> None:
    form = fields_of(registrar.get("/app/registrar/courses/new"))
    assert form["waitlist_capacity"] == ["0"]
    values = {"code": ["CS 9"], "title": ["Compilers"], "capacity": ["x"]}

    wrong = post(registrar, "/registrar/courses/new", **form | values)
    assert (wrong.status_code, "Nothing was saved." in wrong.text) == (422, True)
    page = post(registrar, "/registrar/courses/new", **form | values | {"capacity": ["12"]})
    assert "CS 9 is created." in main_of(page).text
    assert client.get("/courses?code=CS 9").get_json()["items"][0]["capacity"] == 12
    taken = post(registrar, "/registrar/courses/new", **form | values | {"capacity": ["12"]})
    assert (taken.status_code, fields_of(taken)["code"]) == (409, ["CS 9"])


def test_an_instructor_sees_the_own_courses_and_grants_permissions_there_only(
    person: People, client: FlaskClient, student: Make, course: Make, open_term: Make
) -> None:
    term_id, ada = open_term(), student()
    mine, other = course(code="MINE", term_id=term_id), course(code="OTHER", term_id=term_id)
    instructor = person(teaches=mine, student_id=student())
    own_id = client.get("/people").get_json()["items"][0]["student_id"]
    values = {"rule": "permission_required", "reason": "Agreed"}

    assert listed(instructor.get("/app/teaching")) == ["MINE"]
    assert "Close the course" not in instructor.get(f"/app/registrar/courses/{mine}").text
    assert instructor.get(f"/app/registrar/courses/{other}/roster").status_code == 403
    assert post(instructor, f"/registrar/courses/{other}/permissions", student_id=ada, **values).status_code == 403
    assert post(instructor, f"/registrar/courses/{mine}/permissions", student_id=own_id, **values).status_code == 403
    page = post(instructor, f"/registrar/courses/{mine}/permissions", student_id=ada, **values)
    assert f"Student {ada} has a permission" in main_of(page).text
    # The name of a student who is not in the course is none of an instructor's.
    assert "Ada Lovelace" not in main_of(page).text
    again = post(instructor, f"/registrar/courses/{mine}/permissions", student_id=ada, **values)
    assert (again.status_code, fields_of(again, "/permissions")["reason"]) == (409, ["Agreed"])


def test_instructors_of_a_course_are_named_by_their_ids(
    registrar: FlaskClient, client: FlaskClient, course: Make
) -> None:
    course_id = course()
    person_id = client.post("/people", json={"name": "Lise Meitner"}).get_json()["id"]
    path = f"/registrar/courses/{course_id}"
    form = fields_of(registrar.get(f"/app{path}/instructors"), "/instructors")

    page = post(registrar, f"{path}/instructors", **form | {"instructors": [f" {person_id}"]})

    assert "The instructors are saved." in main_of(page).text
    assert "Lise Meitner" in main_of(page).text
    wrong = post(registrar, f"{path}/instructors", **form | {"instructors": ["Lise"]})
    assert (wrong.status_code, "Instructors, by id must be a whole number" in wrong.text) == (422, True)
    assert post(registrar, f"{path}/instructors", **form | {"instructors": [""]}).status_code == 412
    assert client.get(f"/courses/{course_id}/instructors").get_json() == [person_id]
