"""Every form of the pages: what is wrong is said beside its field, and each field of the API has one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient
from marshmallow import Schema
from marshmallow.fields import Field, List, Nested

from course_management.http.endpoints import Endpoints
from course_management.web import registrar as registrar_pages
from course_management.web.field_forms import FieldForm
from course_management.web.tables import Table

from .checking import Element, parse
from .pages import FRAGMENTS, REDIRECTS, pages, verdict
from .school import ORIGIN, School

Browser = Callable[[str], FlaskClient]
TOO_LONG = "x" * 1001
"""No field accepts it: texts are shorter, and it is no number, no time and no code."""


class Sent(NamedTuple):
    """A form of a page, and the response to what was sent with it."""

    rule: str
    action: str
    response: Any


def fields_of(form: Element) -> Iterator[Element]:
    """Yield the fields of a form that people see."""
    for element in form.walk():
        if element.tag in {"input", "select", "textarea"} and element.attributes.get("type") != "hidden":
            yield element


def forms_of(app: Flask, visitor: FlaskClient, school: School) -> Iterator[tuple[str, str, Element]]:
    """Yield the rule of each page, and each of its forms that changes something: its path, and the form."""
    for page in pages(app, "GET"):
        if verdict(page, "registrar") != "yes" or page.rule in FRAGMENTS | REDIRECTS:
            continue
        path = page.path(school.ids)
        root, _ = parse(visitor.get(path).text)
        for form in root.walk():
            is_search = form.attributes.get("role") == "search" or form.attributes.get("action", "").endswith("/search")
            if form.tag == "form" and form.attributes.get("method") == "post" and form.inside("main") and not is_search:
                yield page.rule, form.attributes.get("action", path), form


def sent(visitor: FlaskClient, action: str, form: Element, text: str) -> Any:
    """Send a form with this text in each of its fields that people see."""
    values = [
        (element.attributes["name"], element.attributes.get("value", ""))
        for element in form.walk()
        if element.tag == "input" and element.attributes.get("type") == "hidden"
    ]
    values += [
        (element.attributes["name"], text)
        for element in fields_of(form)
        if element.attributes.get("type") != "checkbox"
    ]
    data: dict[str, list[str]] = {}
    for name, value in values:
        data.setdefault(name, []).append(value)
    return visitor.post(action, data=data, headers=ORIGIN)


def wrong_about(response: Any) -> list[str]:
    """Return what a refused form does not say as it should."""
    root, _ = parse(response.text)
    elements = list(root.walk())
    by_id = {element.attributes["id"]: element for element in elements if "id" in element.attributes}
    (title,) = [element.text for element in elements if element.tag == "title"]
    summaries = [element for element in elements if element.attributes.get("role") == "alert" and element.tag == "div"]
    summaries = [element for element in summaries if "autofocus" in element.attributes]
    invalid = [element for element in elements if element.attributes.get("aria-invalid") == "true"]
    found = []
    if response.status_code not in {409, 422}:
        return [f"the status {response.status_code}"]
    if not title.startswith("Error: "):
        found.append(f"the title {title}")
    if len(summaries) != 1 or summaries[0].attributes.get("tabindex") != "-1":
        return [*found, f"{len(summaries)} summaries with the focus"]
    links = {link.attributes["href"]: link.text for link in summaries[0].walk() if link.tag == "a"}
    if not invalid:
        found.append("no field is marked")
    for element in invalid:
        name = element.attributes.get("id", "?")
        note = by_id.get(element.attributes.get("aria-describedby", ""))
        sentence = links.get(f"#{name}")
        if sentence is None or note is None or not note.text.startswith(sentence):
            found.append(f"{name}: the link is {sentence}, the note is {note and note.text}")
    if set(links) != {f"#{element.attributes.get('id')}" for element in invalid}:
        found.append(f"links to {sorted(links)}")
    internal = re.compile(r"\w_\w|Not a valid|^(Row \d+: )?Must ")
    return found + [f"the sentence {sentence}" for sentence in links.values() if internal.search(sentence)]


@pytest.mark.one_database
def test_a_refused_form_says_beside_each_field_what_is_wrong_and_keeps_what_was_entered(
    app: Flask, browser: Browser, school: School
) -> None:
    registrar = browser("registrar")
    wrong: dict[tuple[str, ...], Any] = {}
    tried = set()

    for rule, action, form in forms_of(app, registrar, school):
        typed = {
            element.attributes["name"]
            for element in fields_of(form)
            if element.tag != "select" and element.attributes.get("type") != "checkbox"
        }
        if not typed:
            continue
        tried.add(rule)
        response = sent(registrar, action, form, TOO_LONG)
        found = wrong_about(response)
        root, _ = parse(response.text)
        kept = {
            element.attributes.get("name")
            for element in fields_of(root)
            if TOO_LONG in (element.attributes.get("value"), element.text)
        }
        if typed - kept:
            found.append(f"not kept: {sorted(typed - kept)}")
        if found:
            wrong[rule, action] = found
    assert wrong == {}
    assert len(tried) >= 20


@pytest.mark.one_database
def test_a_required_field_is_marked_and_said_if_it_is_empty(app: Flask, browser: Browser, school: School) -> None:
    registrar = browser("registrar")
    wrong: dict[tuple[str, ...], Any] = {}
    count = 0

    for rule, action, form in forms_of(app, registrar, school):
        required = [element for element in fields_of(form) if "required" in element.attributes]
        labels = {element.attributes.get("for"): element.text for element in form.walk() if element.tag == "label"}
        unmarked = [
            element.attributes["name"]
            for element in required
            if not labels.get(element.attributes.get("id"), "").endswith("(required)")
        ]
        if unmarked:
            wrong[rule, action] = unmarked
        if not required:
            continue
        count += len(required)
        root, _ = parse(sent(registrar, action, form, "").text)
        said = {
            element.attributes["name"]
            for element in root.walk()
            if element.attributes.get("aria-invalid") == "true" and "name" in element.attributes
        }
        if missing := {element.attributes["name"] for element in required} - said:
            wrong[rule, action, "empty"] = missing
    assert wrong == {}
    assert count > 15


@pytest.mark.one_database
def test_a_student_who_chooses_credits_reads_beside_the_field_what_is_wrong(
    browser: Browser, school: School, client: FlaskClient
) -> None:
    body = {"code": "MUS1", "title": "Choir", "term_id": school.ids["term_id"], "credits": 1, "credits_max": 4}
    path = f"/app/courses/{client.post('/courses', json=body).get_json()['id']}"
    student = browser("another student")

    refused = student.post(f"{path}/enroll", data={"credits": "many"}, headers=ORIGIN)
    enrolled = student.post(f"{path}/enroll", data={"credits": "2,5"}, headers=ORIGIN)

    assert "Credits, from 1 to 4" in refused.text
    assert (refused.status_code, wrong_about(refused)) == (422, [])
    assert enrolled.status_code == 303
    (course,) = client.get("/students/2/courses").get_json()["courses"]
    assert course["credits"] == 2.5


def test_no_error_of_a_page_has_a_name_of_the_api(app: Flask, browser: Browser, school: School) -> None:
    names = (
        "after",
        "as_of",
        "before",
        "period",
        "q",
        "show",
        "sort",
        "student_id",
        "term_id",
        "ids",
        "shown",
        "status",
    )
    query = dict.fromkeys(names, TOO_LONG)
    wrong: dict[tuple[str, ...], Any] = {}
    refused = 0

    for kind in ("registrar", "the student"):
        visitor = browser(kind)
        for page in pages(app, "GET"):
            if verdict(page, kind) != "yes":
                continue
            response = visitor.get(page.path(school.ids).partition("?")[0], query_string=query)
            if response.status_code != 422:
                continue
            refused += 1
            root, _ = parse(response.text)
            (content,) = [element for element in root.walk() if element.tag == "main"]
            if re.search(r"\w_\w|Not a valid|Must be", content.text):
                wrong[kind, page.rule] = content.text
    assert wrong == {}
    assert refused > 10


# --- the fields of the API --------------------------------------------------------------------------------

BUTTONS = "Enrolling has buttons on the page of each course, for the student and on behalf."
WITHOUT_FIELD = {
    ("EnrollBody", "course_ids"): BUTTONS,
    ("EnrollBody", "course_id"): BUTTONS,
    ("EnrollBody", "credits"): BUTTONS,
    ("EnrollBody", "instead_of"): BUTTONS,
    ("Permit", "reason"): BUTTONS,
    ("EnrollBody", "reason"): BUTTONS,
    ("EnrollBody", "waitlist"): BUTTONS,
    ("ReplaceBody", "course_ids"): "A portal replaces all courses of a student; people enroll and drop.",
    ("ReplaceBody", "reason"): "As course_ids.",
    ("ReplaceBody", "credits"): "As course_ids.",
    ("ReplaceBody", "waitlist"): "As course_ids.",
    ("UnenrollBody", "course_ids"): BUTTONS,
    ("UnenrollBody", "course_id"): BUTTONS,
    ("UnenrollBody", "reason"): BUTTONS,
    ("CourseSchema", "closed"): "Closing and opening are pages of their own, which say what follows.",
    ("PersonSchema", "advises"): "The page of a person adds and removes one student at a time.",
}
"""The fields that clients of the API set, and that no form of the pages has, with the reason."""
OF_IDS = {
    "/students/<id:student_id>/groups": ("students", "GROUPS_FORM"),
    "/courses/<id:course_id>/instructors": ("course_parts", "INSTRUCTORS_FORM"),
}
"""The forms of lists of ids, which have no names for their items."""


def leaves(schema: Schema | Field[Any]) -> Iterator[tuple[type[Schema], str]]:
    """Yield the fields of a body, in lists and objects, too."""
    if isinstance(schema, Schema):
        for name, field in schema.fields.items():
            inner = list(leaves(field))
            yield from inner or [(type(schema), name)]
    elif isinstance(schema, List):
        yield from leaves(schema.inner)
    elif isinstance(schema, Nested):
        yield from leaves(schema.schema)


def test_every_field_that_clients_of_the_api_set_has_a_field_in_a_form(app: Flask) -> None:
    forms = [
        value
        for module in vars(registrar_pages).values()
        for value in getattr(module, "__dict__", {}).values()
        if isinstance(value, FieldForm | Table)
    ]
    missing: dict[tuple[str, str], str] = {}
    count = 0

    for blueprint in app.blueprints.values():
        for endpoint in blueprint.endpoints if isinstance(blueprint, Endpoints) else ():
            if endpoint.declared.body is None:
                continue
            fields = set(leaves(endpoint.declared.body.schema))
            if not fields:
                module, name = OF_IDS[endpoint.rule]
                assert isinstance(getattr(getattr(registrar_pages, module), name), FieldForm)
            for schema, name in fields:
                count += 1
                of_schema = [form for form in forms if issubclass(schema_of(form), schema)]
                names = {name for form in of_schema for name in (*form.labels, *getattr(form, "aliases", ()))}
                if name not in names:
                    missing[schema.__name__, name] = endpoint.rule
    new, old = missing.keys() - WITHOUT_FIELD.keys(), WITHOUT_FIELD.keys() - missing.keys()
    table = "WITHOUT_FIELD in tests/web/test_forms.py"
    assert not new, f"Give them labels in a form in src/course_management/web/registrar/, or a reason in {table}."
    assert not old, f"Forms have them, or they do not exist: remove them from {table}."
    assert count > 60


def schema_of(form: FieldForm | Table) -> type[Schema]:
    """Return the schema of the fields of a form, or of a row of a table."""
    return form.schema if isinstance(form, FieldForm) else type(form.schema)
