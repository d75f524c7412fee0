"""Every resource, by its schema: ETags, filters, searches, and what clients can and cannot set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from marshmallow import fields

from course_management import api
from course_management.api.resources import ResourceRoutes
from course_management.database import db
from course_management.schemas.fields import Credits, Email
from course_management.schemas.lists import Choice, SetField

from ..support.contract import resolved
from ..support.fixture_types import Make
from ..support.keys import create_key

RESOURCES: dict[str, ResourceRoutes] = {
    routes.plural: routes
    for subject in api.BLUEPRINTS
    for endpoint in subject.endpoints
    if isinstance(routes := getattr(endpoint.view, "__self__", None), ResourceRoutes)
}
SETTABLE = [(name, field) for name, routes in RESOURCES.items() for field in routes.schema.settable()]
METADATA = {(name, field): RESOURCES[name].schema.fields_of()[field].metadata for name, field in SETTABLE}
FIELDS = [each for each in SETTABLE if not METADATA[each].get("fixed")]
FILTERS = [each for each in SETTABLE if METADATA[each].get("filter")]
OTHER_VALUES: tuple[tuple[type[fields.Field[Any]], Callable[[Any], Any]], ...] = (
    (fields.Boolean, lambda value: not value),
    (fields.Integer, lambda value: value + 1),
    (Credits, lambda value: value + 0.25),
    (fields.AwareDateTime, lambda value: _day_before(datetime.fromisoformat(value)).replace("+00:00", "Z")),
    (fields.Date, lambda value: _day_before(date.fromisoformat(value))),
    (Email, lambda value: f"other.{value}"),
    (fields.String, lambda value: f"{value}-2"),
)
"""How a value becomes another valid one, by the type of its field; the first type that fits counts."""
STARTING_POINTS: dict[str, dict[str, Any]] = {"term_id": {"term_id": None, "credits": None, "credits_max": None}}
"""Values of the row in which a field is changed, where it cannot be changed from the example: only from null."""


def _day_before(value: date) -> str:
    return (value - timedelta(days=1)).isoformat()


@dataclass
class Row:
    """A row of a resource."""

    path: str
    body: dict[str, Any]
    etag: str


@pytest.fixture
def made(app: Flask, client: FlaskClient, student: Make, term: Make, entry: Make) -> Callable[..., Row]:
    """Make a row of a resource from the example of its schema, and what it names: students, terms, catalog entries."""

    def make(name: str, **values: Any) -> Row:
        if name == "people":
            assert [student() for _ in range(3)] == [1, 2, 3]
        if name == "keys":  # the first one ends protected mode
            with app.app_context():
                client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {create_key('test', ['admin'])}"
        if name == "courses":
            assert [term() for _ in range(2)] == [1, 2]
            assert [entry() for _ in range(2)] == [1, 2]
        response = client.post(f"/{name}", json=RESOURCES[name].schema.body_example() | values)
        assert response.status_code == 201, response.text
        body = response.get_json()
        body.pop("key", None)  # which is shown once
        return Row(response.headers["Location"], body, response.headers["ETag"])

    return make


def another(name: str, field: str) -> Any:
    """Return a valid value that differs from that of the example, by the type of the field."""
    schema = RESOURCES[name].schema
    return another_value(schema.fields_of()[field], schema.body_example()[field])


def another_value(field: fields.Field[Any], value: Any) -> Any:
    if isinstance(field, SetField):
        return sorted({*value, another_value(field.inner, value[0])})
    if isinstance(field, Choice):
        return next(known for known in field.known if known != value)
    return next(change(value) for kind, change in OTHER_VALUES if isinstance(field, kind))


def test_these_are_resources() -> None:
    assert {"students", "courses", "catalog", "terms", "groups", "people", "keys"} <= RESOURCES.keys()


@pytest.mark.every_case
@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_changing_a_field_changes_the_etag_and_a_stale_if_match_is_refused(
    client: FlaskClient, made: Callable[..., Row], name: str, field: str
) -> None:
    row, value = made(name, **STARTING_POINTS.get(field, {})), another(name, field)

    changed = client.patch(row.path, json={field: value}, headers={"If-Match": row.etag})
    stale = client.patch(row.path, json={field: row.body[field]}, headers={"If-Match": row.etag})

    assert (changed.status_code, changed.get_json()[field]) == (200, value)
    assert changed.headers["ETag"].partition(".")[0] != row.etag.partition(".")[0]
    assert client.get(row.path).headers["ETag"] == changed.headers["ETag"]
    assert (stale.status_code, stale.get_json()["code"]) == (412, "precondition_failed")
    assert client.get(row.path).get_json()[field] == value


@pytest.mark.every_case
@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_a_change_is_dated_and_a_change_to_the_same_value_is_not(
    client: FlaskClient, made: Callable[..., Row], name: str, field: str
) -> None:
    row = made(name, **STARTING_POINTS.get(field, {}))

    assert row.body["updated_at"] == row.body["created_at"]
    same = client.patch(row.path, json={field: row.body[field]}).get_json()
    other = client.patch(row.path, json={field: another(name, field)}).get_json()

    assert same["updated_at"] == row.body["updated_at"]
    assert other["updated_at"] > row.body["updated_at"]
    assert other["created_at"] == row.body["created_at"]


@pytest.mark.parametrize("name", RESOURCES)
def test_the_document_names_the_filters_of_a_list(client: FlaskClient, name: str) -> None:
    schema = RESOURCES[name].schema
    filters = {field for field, declared in schema.fields_of().items() if declared.metadata.get("filter")}
    search = {"q"} if schema.searched else set()

    document = client.get("/openapi.json").get_json()
    references = document["paths"][f"/{name}"]["get"]["parameters"]

    parameters = [resolved(reference, document) for reference in references]
    assert {parameter["name"] for parameter in parameters} == filters | search | {"limit", "after"}
    assert not any(parameter.get("required") for parameter in parameters)


@pytest.mark.parametrize(("name", "field"), FILTERS)
def test_a_list_can_be_filtered_by_a_field(
    client: FlaskClient, made: Callable[..., Row], name: str, field: str
) -> None:
    row = made(name)

    def found(value: Any) -> Any:
        text = str(value).lower() if isinstance(value, bool) else value
        return client.get(f"/{name}", query_string={field: text}).get_json()["items"]

    assert found(row.body[field]) == [row.body]
    assert found(another(name, field)) == []


@pytest.mark.parametrize("name", RESOURCES)
def test_a_value_that_another_row_has_is_refused(client: FlaskClient, made: Callable[..., Row], name: str) -> None:
    row, routes = made(name), RESOURCES[name]
    values = {field: another(name, field) for field in routes.schema.settable()}
    for column, problem in routes.resource.refusal_if_taken.items():
        columns = {column, routes.resource.unique_within.get(column, column)}
        response = client.post(f"/{name}", json=values | {each: row.body[each] for each in columns})

        assert (response.status_code, response.get_json()["code"]) == (409, problem.code)
        assert response.get_json()["existing_id"] == row.body["id"]


@pytest.mark.parametrize("name", RESOURCES)
def test_a_row_is_written_as_its_schema_dumps_it(app: Flask, made: Callable[..., Row], name: str) -> None:
    row, routes = made(name), RESOURCES[name]
    with app.app_context():
        stored = db.session.get(routes.resource.model, row.body["id"])

        dumped = routes.schema().dump(stored)
        written = app.json.loads(app.json.dumps(routes.write_item(stored), default=lambda time: time.isoformat()))

        db.session.remove()
    assert written == dumped
    assert list(row.body) == list(routes.schema.shown())


@pytest.mark.parametrize("name", RESOURCES)
def test_what_clients_cannot_set_is_an_unknown_field(client: FlaskClient, name: str) -> None:
    schema = RESOURCES[name].schema
    for field in set(schema.shown()) - set(schema.settable()):
        response = client.post(f"/{name}", json=schema.body_example() | {field: schema.example()[field]})

        assert (response.status_code, response.get_json()["errors"][0]["pointer"]) == (422, f"/{field}")


# --- search -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("programming", ["CS101", "CS102"]),
        ("CS101", ["CS101"]),
        ("cs10 ADVANCED", ["CS102"]),
        ("straße", ["DE1"]),
        ("STRASSE", ["DE1"]),
        ("\uff23\uff33\uff11\uff10\uff11", ["CS101"]),  # CS101 in full width, as a Japanese keyboard types it
        ("100%", ["ST1"]),
        ("%", ["ST1"]),
        ("_", []),
        ("programming nothing", []),
    ],
)
def test_courses_are_found_by_words_of_code_and_title(
    client: FlaskClient, course: Make, words: str, found: list[str]
) -> None:
    for code, title in (
        ("CS101", "Programming"),
        ("CS102", "Advanced Programming"),
        ("DE1", "Die Straße im Roman"),
        ("ST1", "From 0 to 100%"),
    ):
        course(code=code, title=title)

    response = client.get("/courses", query_string={"q": words})

    assert [each["code"] for each in response.get_json()["items"]] == found


def test_the_pages_of_a_search_follow_one_another(client: FlaskClient, course: Make) -> None:
    for number in range(5):
        course(code=f"CS{number}", title="Programming" if number % 2 == 0 else "Algorithms")

    first = client.get("/courses?q=programming&limit=2").get_json()
    second = client.get("/courses", query_string={"q": "programming", "limit": 2, "after": first["next"]}).get_json()
    other = client.get("/courses", query_string={"q": "algorithms", "after": first["next"]})

    assert [each["code"] for each in first["items"] + second["items"]] == ["CS0", "CS2", "CS4"]
    assert second["next"] is None
    assert other.status_code == 422


def test_a_changed_title_is_found_by_its_new_words_only(client: FlaskClient, course: Make) -> None:
    wanted = course(code="CS1", title="Programming")
    client.patch(f"/courses/{wanted}", json={"title": "Algorithms"})

    assert client.get("/courses?q=programming").get_json()["items"] == []
    assert [each["id"] for each in client.get("/courses?q=algorithms").get_json()["items"]] == [wanted]


def test_students_are_found_by_name_and_address(client: FlaskClient, student: Make) -> None:
    ada = student(name="Ada Lovelace", email="ada@example.edu")
    student(name="Alan Turing", email=None)

    for words in ("lovelace ada", "ADA@EXAMPLE"):
        assert [each["id"] for each in client.get("/students", query_string={"q": words}).get_json()["items"]] == [ada]


# --- optional values --------------------------------------------------------------------------------------


def test_any_number_of_students_have_no_address_and_no_external_id(client: FlaskClient) -> None:
    for _ in range(2):
        created = client.post("/students", json={"name": "Ada"})

        assert created.status_code == 201
        assert (created.get_json()["email"], created.get_json()["external_id"]) == (None, None)


def test_null_clears_an_optional_value(client: FlaskClient, student: Make) -> None:
    path = f"/students/{student(email='ada@example.edu', external_id='sis-1')}"

    response = client.patch(path, json={"email": None, "external_id": None})

    assert response.status_code == 200
    assert (response.get_json()["email"], response.get_json()["external_id"]) == (None, None)
    assert client.get("/students?email=ada@example.edu").get_json()["items"] == []


@pytest.mark.parametrize(("name", "field"), [("students", "name"), ("courses", "code"), ("courses", "title")])
def test_null_is_no_value_of_a_field_that_must_be_there(
    client: FlaskClient, made: Callable[..., Row], name: str, field: str
) -> None:
    response = client.patch(made(name).path, json={field: None})

    assert (response.status_code, response.get_json()["errors"][0]["pointer"]) == (422, f"/{field}")
