"""What people read: the OpenAPI document, its page, and a page for each error code."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from markupsafe import escape
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import OpenAPIV31SpecValidator
from sqlalchemy.engine import make_url

from course_management import create_app
from course_management.api import documents
from course_management.database.types import MAX_ID
from course_management.errors import Problem, all_codes
from course_management.http import assets
from course_management.http.endpoints import Endpoints
from course_management.http.pages import Pages

from ..support.contract import resolved
from ..support.databases import migrate

MAX_SIZE = 120_000
METHODS = {"get", "put", "post", "delete", "patch"}
FILES = {"text/csv", "text/calendar", "text/plain", "application/zip"}
# For people, and the document itself: the only addresses that are not in it.


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """Return an app without data."""
    url = f"sqlite:///{tmp_path_factory.mktemp('documents') / 'empty.db'}"
    migrate(make_url(url))
    return create_app({"DATABASE_URL": url, "LOG_LEVEL": "error"})


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    response = app.test_client().get("/openapi.json")
    assert (response.status_code, response.mimetype) == (200, "application/json")
    found: dict[str, Any] = response.get_json()
    inlined: dict[str, Any] = inline(found, found)
    return inlined


def inline(found: Any, whole: dict[str, Any]) -> Any:
    """Return the document with its shared parameters, headers, examples and responses where they are used."""
    if isinstance(found, list):
        return [inline(each, whole) for each in found]
    if not isinstance(found, dict):
        return found
    if "$ref" in found and "/schemas/" not in found["$ref"]:
        return inline(resolved(found, whole), whole)
    return {key: inline(value, whole) for key, value in found.items()}


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return each operation, with a name for the messages of failing tests."""
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            yield f"{method} {path}", item[method]


def parameters(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for found in (item, *(item[method] for method in METHODS & item.keys())):
            for each in found.get("parameters", []):
                yield f"{path} {each['name']}", each


def errors(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    whole = schema | {"components": document["components"]}
    validator = OAS31Validator(whole, format_checker=oas31_format_checker)
    return [error.message for error in validator.iter_errors(value)]


# --- the document -----------------------------------------------------------------------------------------


def test_the_document_is_openapi_3_1(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()

    assert document["openapi"].startswith("3.1.")
    assert document["servers"] == [{"url": "/"}]
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_the_document_has_at_most_120_kb(client: FlaskClient) -> None:
    size = len(client.get("/openapi.json").data)

    assert size <= MAX_SIZE, (
        f"/openapi.json has {size} bytes, {size - MAX_SIZE} too many. Say once what calls or schemas have in common: "
        "a problem of many calls belongs into SHARED_PROBLEMS, a type of many fields gets an `x-type`, examples stand "
        "in the schemas of responses (`example`), and a schema that extends another one is its subclass."
    )


def references(part: Any) -> set[str]:
    return set(re.findall("#/components/schemas/(\\w+)", str(part)))


def test_responses_may_gain_members_and_bodies_may_not(document: dict[str, Any]) -> None:
    bodies, new = set(), references([operation.get("requestBody") for _, operation in operations(document)])
    while new:
        bodies |= new
        new = references([document["components"]["schemas"][name] for name in new]) - bodies

    schemas = document["components"]["schemas"]
    closed = {name for name, schema in schemas.items() if "additionalProperties" in schema}
    extended = {name for name in bodies if references(schemas[name].get("allOf")) & closed}

    assert closed | extended == {name for name in bodies if schemas[name].get("type") in {"object", None}}
    assert "enum" not in str(schemas)


def test_a_client_sends_only_what_it_was_given(document: dict[str, Any]) -> None:
    """Generated clients send defaults: a PATCH of the title would reset the waitlist to its default."""
    schemas = document["components"]["schemas"]

    defaults = [name for name, each in schemas.items() if "'default':" in str(each)]

    assert defaults == []
    assert "Defaults: `waitlist_capacity` 0," in schemas["NewCourse"]["description"]
    assert "Default" not in str(schemas["CourseChange"])


def test_every_schema_has_a_description(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert [name for name, each in schemas.items() if not each.get("description")] == []
    assert schemas["Status"]["description"].startswith("The status of an enrollment. One of: enrolled,")


def test_every_id_is_an_int64(document: dict[str, Any]) -> None:
    for schema, found in document["components"]["schemas"].items():
        for name, each in found.get("properties", {}).items():
            if name == "id" or (name.endswith("_id") and name not in {"request_id", "external_id"}):
                is_id = references(each) == {"Id"} or each["format"] == "int64"
                assert is_id, f"{schema} {name}"
    assert document["components"]["schemas"]["Id"]["format"] == "int64"


def test_no_schema_is_an_anonymous_choice(document: dict[str, Any]) -> None:
    assert "oneOf" not in str(document)
    status = {"$ref": "#/components/schemas/Status"}
    assert document["components"]["schemas"]["StudentEvent"]["properties"]["from"] == {
        "anyOf": [status, {"type": "null"}]
    }


def test_no_schema_has_the_name_of_one_of_its_properties(document: dict[str, Any]) -> None:
    """openapi-python-client has one variable for both."""
    for name, schema in document["components"]["schemas"].items():
        assert re.sub("(?<!^)(?=[A-Z])", "_", name).lower() not in schema.get("properties", {}), name


def test_a_file_of_text_is_a_text_and_not_binary(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for media_type, content in operation["responses"].get("200", {}).get("content", {}).items():
            if media_type != "application/json":
                assert ("format" in content["schema"]) == (media_type == "application/zip"), f"{name} {media_type}"


def test_the_document_names_every_route_but_pages_and_no_other(app: Flask, document: dict[str, Any]) -> None:
    routes = {
        method.lower() + " " + re.sub(r"<\w+:(\w+)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not isinstance(app.blueprints[rule.endpoint.partition(".")[0]], Pages)
    }

    assert routes == {name for name, _ in operations(document)}


def test_every_operation_has_a_name_of_its_own_and_a_summary(document: dict[str, Any]) -> None:
    found = list(operations(document))

    assert all(operation["summary"].strip() for _, operation in found)
    assert all("`" not in operation["summary"] for _, operation in found), "a summary is shown as it is"
    assert len({operation["operationId"] for _, operation in found}) == len(found)


def test_no_description_is_indented(document: dict[str, Any]) -> None:
    """Four spaces make a block of code in Markdown."""
    found = [operation["description"] for _, operation in operations(document) if "description" in operation]

    assert found
    assert [each for each in found if re.search("^ ", each, re.MULTILINE)] == []


def test_every_body_has_an_example_and_all_examples_are_valid(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        bodies = [("body", operation["requestBody"])] if "requestBody" in operation else []
        responses = [(status, each) for status, each in operation["responses"].items() if status < "4"]
        assert responses, name
        for where, each in bodies + responses:
            if where in ("204", "304"):
                assert "content" not in each, f"{name} {where}"
                continue
            assert set(each["content"]) <= {"application/json", *FILES}, f"{name} {where}"
            if "application/json" in each["content"]:
                content = each["content"]["application/json"]
                assert where != "body" or "example" in content, f"{name}: the page sends it"
                if "example" in content:
                    assert errors(document, content["schema"], content["example"]) == [], f"{name} {where}"


def test_the_examples_of_schemas_are_valid(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            assert errors(document, schema, example) == [], name


def test_rows_of_lists_have_an_example(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    rows = {name for schema in schemas.values() for name in references(schema.get("properties", {}).get("items"))}

    assert rows
    assert [name for name in rows if "examples" not in schemas[name]] == []


def test_every_error_is_a_problem(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if status < "4":
                continue
            assert set(response["content"]) == {"application/problem+json"}, f"{name} {status}"
            content = response["content"]["application/problem+json"]
            assert content["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}
            for code, example in content.get("examples", {}).items():
                problem = example["value"]
                assert errors(document, content["schema"], problem) == [], f"{name} {code}"
                assert problem["code"] == code
                assert status in {"default", str(problem["status"])}


def test_every_problem_of_an_endpoint_is_in_the_document(app: Flask, document: dict[str, Any]) -> None:
    by_name = {operation["operationId"]: operation["responses"] for _, operation in operations(document)}
    for blueprint in app.blueprints.values():
        for endpoint in blueprint.endpoints if isinstance(blueprint, Endpoints) else ():
            responses = by_name[endpoint.name]
            shared = responses["default"]["description"]
            assert "404 `student_not_found` and so on" in shared
            for status in endpoint.statuses - {404}:
                assert str(status) in responses or f" {status} `" in shared, f"{endpoint.name} {status}"
            for problem in endpoint.problems:
                own = f"`{problem.code}`" in responses.get(str(problem.status), {}).get("description", "")
                named = f"<id:{problem.code.removesuffix('_not_found')}_id>" in endpoint.rule
                assert own or named, f"{endpoint.name} {problem.code}"
    not_found = by_name["enroll_student"]["404"]["description"]
    assert not_found == "`course_not_found`, `student_not_found`"
    assert "404" not in by_name["get_student"]


def test_the_examples_of_refusals_show_what_comes_with_them(document: dict[str, Any]) -> None:
    enroll = document["paths"]["/students/{student_id}/enroll"]["post"]["responses"]

    def example(code: str, status: str) -> dict[str, Any]:
        value = enroll[status]["content"]["application/problem+json"]["examples"][code]["value"]
        assert isinstance(value, dict)
        return value

    assert example("enrollment_refused", "409")["decisions"]
    assert example("validation_failed", "default")["errors"]
    assert document["components"]["schemas"]["ProblemDetails"]["examples"][0]["existing_id"] == 7


def test_every_parameter_is_explained_with_a_valid_example(document: dict[str, Any]) -> None:
    for name, each in parameters(document):
        assert each["description"].strip(), name
        schema = each["schema"]
        if "$ref" in schema:
            assert references(schema) == {"Id"}, "which has an example"
            continue
        for example in [each["example"]] if "example" in each else schema.get("examples", [schema.get("default")]):
            assert errors(document, each["schema"], example) == [], name


def test_ids_in_paths_have_bounds(document: dict[str, Any]) -> None:
    found = {name: each for name, each in parameters(document) if each["in"] == "path"}

    assert {name.split()[0] for name in found} == {path for path in document["paths"] if "{" in path}
    for name, each in found.items():
        schema = each["schema"]
        if each["name"] == "term_code":
            assert schema["type"] == "string"
        else:
            assert references(schema) == {"Id"}, name
    schema = document["components"]["schemas"]["Id"]
    assert (schema["type"], schema["minimum"], schema["maximum"]) == ("integer", 1, MAX_ID)


@pytest.mark.parametrize(
    ("operation_id", "names"),
    [
        ("get_roster", {"limit", "after", "status", "sort", "as_of"}),
        ("list_student_courses", {"status", "term_id", "If-None-Match"}),
        ("replace_enrollments", {"dry_run", "term_id", "If-Match"}),
        ("unenroll_student", {"course_id"}),
        ("change_course", {"If-Match"}),
        ("delete_student", {"If-Match"}),
        ("enroll_student", {"dry_run"}),
    ],
)
def test_an_operation_names_all_its_parameters(document: dict[str, Any], operation_id: str, names: set[str]) -> None:
    (operation,) = (each for _, each in operations(document) if each["operationId"] == operation_id)

    assert {each["name"] for each in operation["parameters"]} == names
    assert not any(each.get("required") for each in operation["parameters"])


def test_a_parameter_that_is_not_in_the_document_is_refused(client: FlaskClient, document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            response = client.open(
                re.sub("{.*?}", "1", path), method=method.upper(), query_string={"nonsense": "1"}, json={}
            )

            assert response.status_code == 422, f"{method} {path}"
            assert response.get_json()["errors"]


@pytest.mark.parametrize(
    ("operation_id", "status", "header"),
    [
        ("create_student", "201", "Location"),
        ("create_course", "201", "ETag"),
        ("get_course", "200", "ETag"),
        ("get_course", "304", "ETag"),
        ("list_student_courses", "200", "ETag"),
        ("enroll_student", "default", "Retry-After"),
        ("enroll_student", "default", "WWW-Authenticate"),
    ],
)
def test_the_headers_of_responses_are_documented(
    document: dict[str, Any], operation_id: str, status: str, header: str
) -> None:
    (operation,) = (each for _, each in operations(document) if each["operationId"] == operation_id)

    assert header in operation["responses"][status]["headers"]


def test_the_headers_of_all_responses_and_lists_are_documented_once(document: dict[str, Any]) -> None:
    for header in ("X-Request-ID", "Link"):
        assert f"`{header}`" in document["info"]["description"]


def test_every_code_stands_in_the_document(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    problems, reasons = (
        set(schemas[name]["properties"]["code"]["description"].removeprefix("One of: ").removesuffix(".").split(", "))
        for name in ("ProblemDetails", "ReasonDetails")
    )

    assert problems == {code for code, found in all_codes().items() if issubclass(found, Problem)}
    assert problems | reasons == set(all_codes())


def test_every_schema_of_the_document_is_used(document: dict[str, Any]) -> None:
    used = set(re.findall("#/components/schemas/([A-Za-z]+)", str(document)))

    assert used == set(document["components"]["schemas"])


# --- the page of the document -----------------------------------------------------------------------------


def test_the_front_page_leads_to_the_pages(client: FlaskClient) -> None:
    assert client.get("/").headers["Location"] == "/app/"


def test_the_documentation_is_a_page(client: FlaskClient) -> None:
    page = client.get("/docs")
    assert page.text == client.get("/docs/").text
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert "/openapi.json" in page.text


def test_the_documentation_works_offline(client: FlaskClient) -> None:
    page = client.get("/docs/").text
    assets = re.findall(r"""(?:src|href)=["']([^"']+)""", page)

    assert "://" not in page
    assert any(each.endswith(".js") for each in assets)
    for asset in assets:
        response = client.get(asset)
        assert response.status_code == 200, asset
        if asset.endswith(".css"):
            assert not re.search(r"""(?:url\(|@import)\s*["']?(?:https?:)?//""", response.text), asset
        response.close()


def bundle(client: FlaskClient) -> str:
    """Return the address of the largest asset, as the page has it."""
    (found,) = re.findall(r'src="([^"]+bundle.js)"', client.get("/docs").text)
    return str(found)


@pytest.mark.parametrize("path", ["bundle", "/openapi.json"])
def test_large_texts_are_compressed_for_clients_that_accept_it(client: FlaskClient, path: str) -> None:
    path = bundle(client) if path == "bundle" else path
    plain = client.get(path)

    def get(accepted: str) -> Any:
        response = client.get(path, headers={"Accept-Encoding": accepted})
        assert (response.status_code, response.headers["Vary"]) == (200, "Accept-Encoding")
        assert response.mimetype == plain.mimetype
        return response

    for accepted in ("gzip", "gzip, deflate, br", "*", "br;q=1, gzip;q=0.1"):
        response = get(accepted)
        assert response.headers["Content-Encoding"] == "gzip"
        assert len(response.data) < len(plain.data) / 3
        assert gzip.decompress(response.data) == plain.data
        assert response.headers["ETag"] != plain.headers["ETag"]
    for accepted in ("", "identity", "br", "gzip;q=0", "*;q=0"):
        response = get(accepted)
        assert "Content-Encoding" not in response.headers
        assert response.data == plain.data


@pytest.mark.parametrize("path", ["bundle", "/docs/swagger-ui.css", "/openapi.json"])
@pytest.mark.parametrize("accepted", ["gzip", "identity"])
def test_a_text_that_the_client_has_is_not_sent_again(client: FlaskClient, path: str, accepted: str) -> None:
    path = bundle(client) if path == "bundle" else path
    headers = {"Accept-Encoding": accepted}
    first = client.get(path, headers=headers)

    again = client.get(path, headers={**headers, "If-None-Match": first.headers["ETag"]})
    other = client.get(path, headers={**headers, "If-None-Match": '"other"'})

    assert (again.status_code, again.data) == (304, b"")
    assert (again.headers["ETag"], again.headers["Vary"]) == (first.headers["ETag"], "Accept-Encoding")
    assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
    assert other.data == first.data


def test_assets_are_immutable_under_an_address_that_changes_with_them(client: FlaskClient) -> None:
    path = bundle(client)
    _, _, version, name = path.split("/")

    assert client.get(path).headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert client.get(f"/docs/{name}").headers["Cache-Control"] == "public, no-cache"
    assert client.get("/docs").headers["Cache-Control"] == "public, no-cache"
    changed = dict(assets.of_folder(documents.SWAGGER_UI / "dist"))
    assert assets.version_of(changed) == version
    changed[name] = assets.Asset(b"other", "text/javascript")
    assert assets.version_of(changed) != version


def test_what_is_not_part_of_the_documentation_is_a_problem(client: FlaskClient) -> None:
    name = bundle(client).rpartition("/")[2]
    more = (f"/docs/000000000000/{name}", f"/docs/x/{bundle(client)[6:]}", f"/docs/dist/{name}", bundle(client) + "/")
    for path in (*more, "/docs/nothing.js", "/docs/../pyproject.toml", f"/docs/{Path(__file__)}", "/redoc"):
        response = client.get(path)

        assert (response.status_code, response.mimetype) == (404, "application/problem+json"), path


# --- a page for each code ---------------------------------------------------------------------------------


@pytest.mark.parametrize("code", all_codes())
def test_every_code_has_a_page_that_explains_it(client: FlaskClient, code: str) -> None:
    found = all_codes()[code]

    response = client.get(f"/problems/{code.replace('_', '-')}")
    assert client.get(f"/problems/{code}").data == response.data

    assert (response.status_code, response.mimetype) == (200, "text/html")
    text = re.sub("</?code>", "", response.text)
    for each in (code, found.title, found.meaning, found.remedy):
        assert str(escape(each.replace("`", ""))) in text
    assert "`" not in response.text


def test_all_codes_are_listed_with_a_link_each(client: FlaskClient) -> None:
    page = client.get("/problems").text

    links = re.findall('href="(/problems/[^"]+)"', page)

    assert links == [f"/problems/{code.replace('_', '-')}" for code in all_codes()]
    assert "`" not in page


@pytest.mark.parametrize("slug", ["nothing", "course-full/", "Course-Full", ""])
def test_an_unknown_code_has_no_page(client: FlaskClient, slug: str) -> None:
    response = client.get(f"/problems/{slug}")

    assert (response.status_code, response.mimetype) == (404, "application/problem+json")
    assert response.get_json()["code"] == "not_found"


def test_a_set_of_a_resource_takes_null_and_is_never_null_in_a_response(document: Any) -> None:
    schemas = document["components"]["schemas"]

    assert schemas["PersonChange"]["properties"]["roles"]["type"] == ["array", "null"]
    assert schemas["Person"]["properties"]["roles"]["type"] == "array"
