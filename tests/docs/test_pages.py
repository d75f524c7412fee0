"""The pages name only what exists, and everything that must be in them is in them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from course_management import cli, environment
from course_management.config import Settings
from course_management.errors import Problem, all_codes
from course_management.http.pages import Pages
from course_management.services.enrollment.rules import RULES, Rule
from course_management.transfer.kinds import KINDS

from ..support.databases import ROOT
from .pages import PAGES, RUN, anchors, blocks, links, name

SHOWN = {"ini", "nginx", "text"}
"""Languages of files and drawings, which cannot be run."""
SETTING = re.compile(r"(?:`|\b)([A-Z]+(?:_[A-Z]+)+|HOST|PORT|WORKERS|THREADS|CONNECTIONS|BACKGROUND)(?:=|`)")
NOT_SETTINGS = {
    "TARGET_DATABASE_URL",
    "TEST_DATABASE_URL",
    "TEST_CITUS_URL",
    "ETCD_INITIAL_CLUSTER",
    "ETCD_INITIAL_CLUSTER_STATE",
    "PYTHON",
    "ARGS",
    "HTTPS_PROXY",
    "PROMETHEUS_MULTIPROC_DIR",
    "SCHEMA_REVISION",
    "SOURCE_DATE_EPOCH",
    "ENROLL_BY_SEATS",
    "ENROLL_AS_DECIDED",
    "REASON_TEXTS",
    "WITHOUT_FIELD",
}


def text(page: str) -> str:
    return (ROOT / page).read_text()


# --- every page -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    for block in blocks(page):
        assert block.language in RUN | SHOWN, (
            f"{block.place}: nothing runs a block of {block.language or 'no language'}"
        )
        assert block.language != "console" or block.commands() or block.reason_not_run, block.place


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    for path, anchor in links(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name(page)} links to {path}"
        assert not anchor or anchor in anchors(target), f"{name(page)} links to {path}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_of_a_page_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", text("Makefile"), re.MULTILINE))

    assert set(re.findall(r"(?:`|\$ )(?:[A-Z_]+=\S+ )*make ([a-z-]+)", page.read_text())) <= targets
    commands = set(re.findall(r"course-management ([a-z][a-z-]*)", page.read_text()))
    assert commands - {"course-management"} <= set(cli.cli.commands)  # also the name of an image


def test_every_page_is_linked_from_the_readme_or_from_a_page_that_is() -> None:
    found = {ROOT / "README.md"}
    waiting = list(found)
    while waiting:
        page = waiting.pop()
        new = {(page.parent / path).resolve() for path, _ in links(page) if path.endswith(".md")} - found
        found |= new
        waiting += new

    assert set(PAGES) - found == set(), "Link them in README.md, or in a page that it links."


@pytest.mark.parametrize("source", sorted((ROOT / "src").rglob("*.py")), ids=name)
def test_every_page_that_the_code_names_exists(source: Path) -> None:
    for page in re.findall(r"docs/[\w/-]+\.md", source.read_text()):
        assert (ROOT / page).exists(), f"{name(source)} names {page}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_source_file_that_a_page_names_exists(page: Path) -> None:
    for path in re.findall(r"`([\w/]+/\w+\.py)`", page.read_text()):
        places = (ROOT / path, ROOT / "src" / "course_management" / path)
        assert any(each.exists() for each in places), f"{name(page)} names {path}"


# --- the README -------------------------------------------------------------------------------------------


def test_the_readme_is_short() -> None:
    assert len(text("README.md").splitlines()) <= 150


def test_the_changelog_says_each_change_once() -> None:
    """Lines that were changed on two branches come back by a merge."""
    unreleased = text("CHANGELOG.md").partition("\n## Unreleased\n")[2].partition("\n## ")[0]
    begins = [line[:40] for line in unreleased.splitlines() if line.startswith(("- ", "#"))]

    assert [each for each in set(begins) if begins.count(each) > 1] == []


# --- settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["README.md", "SECURITY.md", *sorted(name(p) for p in (ROOT / "docs").glob("*.md"))])
def test_every_setting_of_a_page_exists(page: str) -> None:
    """PostgreSQL's own variables and the wildcards of settings are not settings."""
    named = {each for each in SETTING.findall(text(page)) if not each.startswith("PG")} - NOT_SETTINGS

    unknown = named - {each.upper() for each in Settings.__dataclass_fields__}
    assert not unknown, (
        f"{page} names {unknown}: no such setting. If it is none, add it to NOT_SETTINGS in tests/docs/test_pages.py."
    )


def test_the_operations_page_names_every_setting() -> None:
    table = text("docs/operations.md").partition("## Settings")[2].partition("\n## ")[0]

    settings = {each.upper() for each in Settings.__dataclass_fields__}
    assert set(re.findall(r"`([A-Z_]+)`", table)) == settings, 'Correct the table "Settings" in docs/operations.md.'


def test_the_settings_for_production_are_settings(tmp_path: Path) -> None:
    page = ROOT / "docs" / "installation.md"
    (tmp_path / "env").write_text("".join(block.text for block in blocks(page) if block.language == "dotenv"))

    file = environment.read(tmp_path / "env")
    settings = Settings.load(environ=file.values)

    assert file.problems == []
    assert settings.database_url.query["sslmode"] == "verify-full"
    assert settings.oidc_audience


# --- the API guide, the commands, the logs ----------------------------------------------------------------


def test_the_api_guide_names_every_route_but_pages_and_no_other(app: Flask) -> None:
    named = {
        (method, re.sub("{code}|{term_code}", "{id}", path))
        for method, path in re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^\s`?]*)", text("docs/api.md"))
    }
    routes = {
        (method, re.sub(r"<[^>]*>", "{id}", rule.rule)): app.blueprints[rule.endpoint.partition(".")[0]]
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert named <= routes.keys(), "docs/api.md names routes that do not exist."
    missing = {route for route in routes if not isinstance(routes[route], Pages)} - named
    assert not missing, 'Add them to the table "All calls" in docs/api.md.'


def test_the_api_guide_names_every_error_code_with_its_status() -> None:
    section = text("docs/api.md").partition("\n## Errors\n")[2].partition("\n## ")[0]
    named = {
        (status, code)
        for status, codes in re.findall(r"^\| (\d+) \| ([^|]*) \|", section, re.MULTILINE)
        for code in re.findall(r"`(\w+)`", codes)
    }
    problems = {(str(each.status), code) for code, each in all_codes().items() if issubclass(each, Problem)}

    assert named == problems, 'Correct the table "Errors" in docs/api.md.'
    # The section links to the table of the rules.
    codes = [code for code, error in all_codes().items() if not issubclass(error, Rule)]
    missing = [code for code in codes if f"`{code}`" not in section]
    assert not missing, 'Add them to the section "Errors" of docs/api.md.'


def test_the_operations_page_names_every_command() -> None:
    section = text("docs/operations.md").partition("## Commands")[2].partition("\n### ")[0]
    table = " ".join(re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE))

    named = {each.split()[0] for each in re.findall(r"`([^`]+)`", table)}
    assert named == set(cli.cli.commands), 'Correct the table "Commands" in docs/operations.md.'


def test_the_map_names_only_files_that_exist() -> None:
    block = next(block for block in blocks(ROOT / "docs" / "architecture.md") if block.language == "text")
    folder = ""
    for line in block.text.splitlines():
        names = re.split(r"\s{2,}", line.strip())[0]
        if not line.startswith(" "):
            folder = names
        for each in names.split(", "):
            places = [ROOT / each, ROOT / folder / each, ROOT / folder / "services" / each]
            assert any(place.exists() for place in places), each


def test_the_map_names_every_module_at_the_top_of_the_package() -> None:
    block = next(block for block in blocks(ROOT / "docs" / "architecture.md") if block.language == "text")
    package = ROOT / "src" / "course_management"
    modules = {
        f"{path.name}/" if path.is_dir() else path.name for path in package.iterdir() if path.name[0] not in "_."
    }

    missing = {name for name in modules if not re.search(rf"(?<![\w/.]){re.escape(name)}", block.text)}
    assert not missing, "Add them to the map in docs/architecture.md."


MAPS = (
    "access",
    "background",
    "database",
    "http",
    "maintenance",
    "server",
    "services",
    "services/enrollment",
    "transfer",
    "web",
)
"""Packages whose docstring says what each module is for."""


@pytest.mark.every_case
@pytest.mark.parametrize("package", MAPS)
def test_the_map_of_a_package_names_each_module(package: str) -> None:
    folder = ROOT / "src" / "course_management" / package
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    modules = {path.stem for path in folder.glob("[a-z]*.py")}

    missing = {name for name in modules if not re.search(rf"\b{name}\b", docstring)}
    assert not missing, f"Add them to the docstring of src/course_management/{package}/__init__.py."


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_paragraph_is_twice_on_a_page(page: Path) -> None:
    """A merge of two branches brings a paragraph that both have moved back."""
    paragraphs = [part for part in page.read_text().split("\n\n") if len(part) > 120 and not part.startswith("|")]

    assert [part for part in set(paragraphs) if paragraphs.count(part) > 1] == []


# --- rules of registration --------------------------------------------------------------------------------


def test_the_guide_of_each_rule_explains_each_fact_of_its_reason() -> None:
    for rule in RULES:
        guide = rule.guide
        place = f"{type(rule).__name__} in src/{type(rule).__module__.replace('.', '/')}.py"
        assert guide, f"Add `guide` to {place}."
        assert guide.facts.keys() == rule.example.keys(), f"Correct the facts in `guide` of {place}."


def test_the_page_of_the_rules_names_templates_in_the_order_of_an_import() -> None:
    section = text("docs/rules.md").partition("### Where the data comes from")[2].partition("\n## ")[0]
    named = re.findall(r"^\| [^|]+ \| `(\w+)` \|", section, re.MULTILINE)

    assert named == [kind.name for kind in KINDS if kind.name in named], (
        "The order is that of HANDLERS in transfer/kinds."
    )
    assert {kind.name for kind in KINDS} - set(named) == {"people", "instructors", "accounts"}  # no rule needs them


# --- codes of imports -------------------------------------------------------------------------------------


def test_the_page_of_files_explains_each_code_that_a_report_of_an_import_can_have() -> None:
    trees = [ast.parse(path.read_text()) for path in (ROOT / "src/course_management/transfer").rglob("*.py")]
    codes = {code for tree in trees for node in ast.walk(tree) for code in _codes(node)}
    section = text("docs/files.md").partition("## Codes of a report")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    explained = {code for row in rows for code in re.findall(r"`(\w+)`", row)}

    assert "unusual_date" in codes
    assert codes - explained == set(), 'Add them to the table "Codes of a report" in docs/files.md.'
    constants = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert explained - constants - {*all_codes()} == set()


PAIR = 2


def _codes(node: ast.AST) -> Iterator[str]:
    """Yield the codes of rows in a call that makes a verdict or a finding, and in a pair of a code and a sentence."""
    candidates: list[ast.expr] = []
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in {"Verdict", "over", "_find"} or (called in {"warn", "refuse"} and len(node.args) > PAIR):
            candidates = node.args[2:3]
        if called == "BadValue" or (called == "warn" and len(node.args) == PAIR):
            candidates = node.args[:1]
        if called == "Finding":
            candidates = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        candidates = node.value.elts[:1]
    for each in candidates:
        if isinstance(each, ast.Constant) and re.fullmatch(r"[a-z]+(_[a-z]+)+|busy", str(each.value)):
            yield str(each.value)


# --- the API guide ----------------------------------------------------------------------------------------


def test_the_table_of_filters_names_the_parameters_of_each_list(client: FlaskClient) -> None:
    """A parameter is a word of the row that is not the value of another one; those after a colon are values."""
    table = text("docs/api.md").partition("\n## Filters")[2].partition("\n\n`q` finds")[0]
    rows = re.findall(r"^\| `GET (\S+)` \| (.+) \|$", table, re.MULTILINE)
    named = {
        re.sub(r"\{.*?\}", "{}", path): set(re.findall(r"`([a-z_]+)`", re.sub(r":[^;]*", "", parameters)))
        for path, parameters in rows
    }
    document = client.get("/openapi.json").get_json()
    shared = document["components"]["parameters"]

    accepted = {}
    for path, calls in document["paths"].items():
        parameters = [
            shared[each["$ref"].rpartition("/")[2]] if "$ref" in each else each
            for each in calls.get("get", {}).get("parameters", ())
        ]
        names = {each["name"] for each in parameters if each["in"] == "query"} - {"after", "limit"}
        if names and not path.startswith("/exports/") and not path.endswith((".ics", "/registration")):
            accepted[re.sub(r"\{.*?\}", "{}", path)] = names

    different = {path for path in {*named, *accepted} if named.get(path) != accepted.get(path)}
    assert not different, 'Correct the rows of these lists in the table "Filters" in docs/api.md.'
