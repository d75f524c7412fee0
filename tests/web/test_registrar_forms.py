"""The forms of registrars: codes in any case, defaults, what follows is said first, and what can be created."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient

from course_management.access.policy import SCOPES
from course_management.web.registrar.keys import SCOPES_IN_WORDS

from ..support.fixture_types import Make
from .test_registrar_courses import fields_of, main_of, person, post, registrar

__all__ = ["person", "registrar"]


def notes(response: Any) -> dict[str, str]:
    """Return what is said about each field that is marked as wrong, by the name of the field."""
    elements = list(main_of(response).walk())
    by_id = {element.attributes["id"]: element.text for element in elements if "id" in element.attributes}
    return {
        element.attributes["name"]: by_id[element.attributes["aria-describedby"]]
        for element in elements
        if element.attributes.get("aria-invalid") == "true"
    }


def test_a_code_that_is_taken_is_said_beside_the_code(registrar: FlaskClient, course: Make) -> None:
    course(code="CS 9")
    form = fields_of(registrar.get("/app/registrar/courses/new"))

    taken = post(registrar, "/registrar/courses/new", **form | {"code": ["CS 9"], "title": ["Compilers"]})

    assert taken.status_code == 409
    assert notes(taken) == {"code": "This code is already in use. Enter another code."}
    assert fields_of(taken)["title"] == ["Compilers"]


def test_a_code_is_found_in_any_case_unless_it_means_several_courses(
    registrar: FlaskClient, client: FlaskClient, course: Make, student: Make
) -> None:
    ada, first, _second, strasse = student(), course(code="Cs 1"), course(code="CS 1"), course(code="STRASSE 1")
    path = f"/registrar/students/{ada}/permissions"
    form = fields_of(registrar.get(f"/app{path}")) | {"rule": ["course_closed"], "reason": ["Agreed"]}

    several = post(registrar, path, **form | {"course": ["cs 1"]})
    exact = post(registrar, path, **form | {"course": [" Cs  1 "]})
    folded = post(registrar, path, **form | {"course": ["straße 1"]})

    assert notes(several)["course"] == "Several courses have the code cs 1. Choose the term."
    assert [page.status_code for page in (several, exact, folded)] == [422, 200, 200]
    granted = client.get(f"/students/{ada}/permissions").get_json()["items"]
    assert sorted(permission["course_id"] for permission in granted) == [first, strasse]


def test_no_rule_is_waived_by_default(
    registrar: FlaskClient, client: FlaskClient, course: Make, student: Make, open_term: Make
) -> None:
    ada, course_id = student(), course(code="CS 1", term_id=open_term())
    of_student, of_course = f"/registrar/students/{ada}/permissions", f"/registrar/courses/{course_id}/permissions"
    for path, values in ((of_student, {"course": ["CS 1"]}), (of_course, {"student_id": [str(ada)]})):
        form = fields_of(registrar.get(f"/app{path}"), "/permissions")
        assert form["rule"] == [""]

        page = post(registrar, path, **form | values | {"reason": ["Agreed"]})

        assert (page.status_code, notes(page)) == (422, {"rule": "What is waived is required."})
    assert client.get(f"/students/{ada}/permissions").get_json()["items"] == []


def test_a_permission_for_a_student_who_does_not_exist_is_refused_beside_the_field(
    registrar: FlaskClient, course: Make
) -> None:
    path = f"/registrar/courses/{course()}/permissions"
    form = fields_of(registrar.get(f"/app{path}"), "/permissions")

    page = post(registrar, path, **form | {"student_id": ["99"], "rule": ["course_closed"], "reason": ["Agreed"]})

    assert (page.status_code, fields_of(page, "/permissions")["reason"]) == (404, ["Agreed"])
    assert notes(page)["student_id"].startswith("There is no student with this id.")


def test_what_follows_from_closing_and_opening_is_said_first(
    registrar: FlaskClient, client: FlaskClient, course: Make, student: Make, enroll: Any
) -> None:
    course_id = course(code="CS 1", capacity=1, waitlist_capacity=5)
    for _number in range(3):
        enroll(student(), course_id, waitlist=True)
    path = f"/registrar/courses/{course_id}"

    asked = main_of(registrar.get(f"/app{path}/close")).text
    assert not client.get(f"/courses/{course_id}").get_json()["closed"]
    post(registrar, f"{path}/close")

    assert "1 student is enrolled and stays." in asked
    assert "2 students on the waitlist keep their places" in asked
    assert "The course is closed since:" in main_of(registrar.get(f"/app{path}/history")).text
    asked = main_of(registrar.get(f"/app{path}/open")).text
    assert "0 seats are free. Waitlist 2 students wait." in asked


def test_a_student_is_created_and_put_into_a_new_group(registrar: FlaskClient, client: FlaskClient) -> None:
    form = fields_of(registrar.get("/app/registrar/groups/new"))
    values = {"kind": ["program"], "code": ["CS"], "title": ["Computer Science"]}
    assert "Computer Science is created." in main_of(post(registrar, "/registrar/groups/new", **form | values)).text
    (group,) = client.get("/groups").get_json()["items"]
    change = f"/registrar/groups/{group['id']}"
    form = fields_of(registrar.get(f"/app{change}"))
    assert "Informatics is changed." in main_of(post(registrar, change, **form | {"title": ["Informatics"]})).text
    assert post(registrar, change, **form | {"title": ["Other"]}).status_code == 412

    form = fields_of(registrar.get("/app/registrar/students/new"))
    student = {"name": ["Ada Lovelace"], "email": ["ada@example.edu"]}
    assert "Ada Lovelace is created." in main_of(post(registrar, "/registrar/students/new", **form | student)).text
    taken = post(registrar, "/registrar/students/new", **form | student)
    assert notes(taken)["email"].startswith("Another student has this e-mail address.")
    (row,) = client.get("/students").get_json()["items"]
    path = f"/registrar/students/{row['id']}"
    groups = fields_of(registrar.get(f"/app{path}"), "/groups") | {"group_ids": [str(group["id"])]}
    assert "The groups are changed." in main_of(post(registrar, f"{path}/groups", **groups)).text
    assert client.get(f"/students/{row['id']}/groups").get_json() == [group["id"]]


def test_prerequisites_are_edited_as_lines_of_alternatives(
    registrar: FlaskClient, client: FlaskClient, entry: Make, group: Make
) -> None:
    group_id = group(code="ready")
    first, second, third = entry(code="CS 173"), entry(code="MATH 213"), entry(code="CS 225")
    path = f"/registrar/catalog/{third}/prerequisites"
    form = fields_of(registrar.get(f"/app{path}"))
    rows = {
        "group": ["1", "2", "2"],
        "catalog_id": ["cs 173", "math 213", ""],
        "group_id": ["", "", str(group_id)],
        "minimum_points": ["", "", ""],
        "minimum_grade": ["", "C", ""],
        "concurrent_allowed": ["true", "", ""],
    }

    wrong = post(registrar, path, **form | rows)
    unknown = post(registrar, path, **form | rows | {"catalog_id": ["cs 173", "math 999", ""]})
    saved = post(registrar, path, **form | rows | {"minimum_points": ["", "2,0", ""]})

    assert notes(wrong) == {"minimum_grade": "Row 2: Grade in words needs a value of “Least points”, which decides."}
    assert notes(unknown) == {"catalog_id": "Row 2: There is no catalog entry with the code math 999."}
    assert "(MATH 213 with C or group ready) and CS 173 (concurrent allowed)" in main_of(saved).text
    groups = client.get(f"/catalog/{third}/prerequisites").get_json()["groups"]
    assert {len(alternatives) for alternatives in groups} == {1, 2}
    shown = fields_of(registrar.get(f"/app{path}"))
    assert sorted(shown["catalog_id"][:3]) == ["", "CS 173", "MATH 213"]
    own = fields_of(registrar.get(f"/app/registrar/catalog/{first}/prerequisites"))
    page = post(
        registrar, f"/registrar/catalog/{first}/prerequisites", **own | {"catalog_id": ["CS 225"], "group": ["1"]}
    )
    assert "Warning: these entries require each other: CS 173, CS 225." in main_of(page).text
    assert second


def test_the_catalog_entry_of_a_course_is_named_by_its_code(
    registrar: FlaskClient, client: FlaskClient, course: Make, entry: Make
) -> None:
    course_id, entry_id = course(), entry(code="CS 225")
    path = f"/registrar/courses/{course_id}/details"
    form = fields_of(registrar.get(f"/app{path}"), "/details")

    wrong = post(registrar, path, **form | {"catalog_id": ["CS 999"]})
    assert notes(wrong)["catalog_id"].startswith("There is no catalog entry with the code CS 999.")
    post(registrar, path, **form | {"catalog_id": [" cs 225"]})

    assert client.get(f"/courses/{course_id}").get_json()["catalog_id"] == entry_id
    assert fields_of(registrar.get(f"/app{path}"), "/details")["catalog_id"] == ["CS 225"]


def test_people_with_one_address_are_named_and_an_account_of_another_person_is_said(
    registrar: FlaskClient, client: FlaskClient
) -> None:
    form = fields_of(registrar.get("/app/registrar/people"), "/people")
    grace = {"name": ["Grace Hopper"], "email": ["grace@example.edu"]}
    first = client.post("/people", json={"name": "Grace Hopper", "email": "grace@example.edu"}).get_json()["id"]
    account = {"issuer": "https://login.example.edu", "subject": "grace"}
    client.post(f"/people/{first}/accounts", json=account)

    page = post(registrar, "/registrar/people", **form | grace)

    assert f"The same e-mail address has: Grace Hopper (id {first})." in main_of(page).text
    second = max(row["id"] for row in client.get("/people").get_json()["items"])
    taken = post(registrar, f"/registrar/people/{second}/accounts", **account)
    assert notes(taken)["subject"].startswith(f"This subject is already the account of person {first}.")


def test_every_scope_of_a_key_is_explained(registrar: FlaskClient) -> None:
    assert SCOPES_IN_WORDS.keys() == set(SCOPES)
    text = main_of(registrar.get("/app/registrar/keys")).text
    assert "permissions:write: grant and revoke permissions, which waive rules" in text
    refused = post(registrar, "/registrar/keys", name="portal")
    assert notes(refused)["scopes"].startswith("Scopes: choose at least one.")
