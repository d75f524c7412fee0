"""Rules of installed packages: loaded from entry points, checked when the app starts, and asked like ours."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import bindparam, select

from course_management.errors import all_codes
from course_management.rules import Action, Course, Facts, Rule, Situation
from course_management.services.enrollment import loading, rules
from course_management.services.enrollment.questions import QUESTIONS
from course_management.services.enrollment.rules.installed import GROUP, load

from ...support.databases import ROOT
from ...support.fixture_types import Make

EXAMPLE = ROOT / "docs" / "examples" / "language-courses"
CODE = "one_language_per_term"
MODULE = "rule_of_a_school"


@pytest.fixture(autouse=True)
def without_traces() -> Iterator[None]:
    """Ends the classes of these tests, which are in the documentation of codes as long as they exist."""
    before = all_codes().keys()
    yield
    for name in (MODULE, "language_courses"):
        sys.modules.pop(name, None)
    loading.statement_of_one.cache_clear()
    for generation in range(3):
        if all_codes().keys() != before:
            gc.collect(generation)  # the classes are young: a full collection would take a second for each test
    assert all_codes().keys() == before


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> EntryPoint:
    monkeypatch.syspath_prepend(EXAMPLE)
    return EntryPoint("languages", "language_courses:OneLanguagePerTerm", GROUP)


@pytest.fixture
def problems(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Loads one rule like those of a school, changed by these members of its class; what is wrong with it."""

    def find(**members: Any) -> list[str]:
        class SchoolRule(Rule):
            code, title, meaning, remedy = "of_a_school", "Of a school", "It is refused.", "Ask."
            applies_to = frozenset[Action]({"enroll"})

            def against(self, course: Course, situation: Situation) -> list[Facts]:  # noqa: ARG002 - of every rule
                return []

        made = type("Changed", (Rule,), {**vars(SchoolRule), **members})
        SchoolRule.code = "another"
        return wrong_with(made)

    def wrong_with(found: object) -> list[str]:
        module = ModuleType(MODULE)
        module.found = found  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, MODULE, module)
        point = EntryPoint("mine", f"{MODULE}:found", GROUP)
        return [each.partition(f"The rule mine of {MODULE}:found ")[2] for each in load([point], rules.RULES).problems]

    find.wrong_with = wrong_with  # type: ignore[attr-defined]
    return find


def test_a_valid_rule_is_loaded(problems: Callable[..., list[str]]) -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"title": " "}, "has no title, a text of its class."),
        ({"remedy": None}, "has no remedy, a text of its class."),
        ({"code": None}, "has no code, a text of its class."),
        ({"against": Rule.against}, "has no function `against`."),
        ({"__hash__": None}, "cannot be hashed; a dataclass needs eq=False."),
        ({"code": "Of-A-School"}, "has the code 'Of-A-School'; it must be"),
        ({"code": "x" * 51}, "has the code 'xxx"),
        ({"code": "hold"}, "has the code hold, which another rule or problem has."),
        ({"code": "student_not_found"}, "has the code student_not_found, which another rule or problem has."),
        ({"code": "course_full"}, "has the code course_full, which another rule or problem has."),
        ({"applies_to": frozenset()}, "has no applies_to, a frozenset of some of: enroll, "),
        ({"applies_to": ["enroll"]}, "has no applies_to, a frozenset of some of: enroll, "),
        ({"applies_to": frozenset({"enrol"})}, "has no applies_to, a frozenset of some of: enroll, "),
        ({"needs_term": False}, "has needs_term = False; a rule of a school applies to courses of terms."),
        ({"example": {"detail": "x"}}, "has no valid example: "),
        ({"questions": [1]}, "has no valid questions: "),
        ({"questions": {"groups": select(1)}}, "has the question groups, and another question has that name."),
        ({"questions": {"Who?": select(1)}}, "has the question 'Who?'; it must be a select, "),
        ({"questions": {"mine": "SELECT 1"}}, "has the question 'mine'; it must be a select, "),
        (
            {"questions": {"mine": select(bindparam("teacher"))}},
            "has the question mine with parameters that have no value: teacher.",
        ),
    ],
)
def test_a_rule_that_is_not_valid_is_left_out_with_a_sentence(
    problems: Callable[..., list[str]], members: dict[str, Any], sentence: str
) -> None:
    assert [each.startswith(sentence) for each in problems(**members)] == [True]


def test_a_question_of_ours_and_values_in_a_question_are_allowed(problems: Callable[..., list[str]]) -> None:
    assert problems(questions={"groups": QUESTIONS["groups"], "mine": select(1).where(bindparam("x", 1) == 1)}) == []


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (f"{MODULE}:nothing", "cannot be loaded (AttributeError: "),
        ("no_such_module:Rule", "cannot be loaded (ModuleNotFoundError: "),
        ("os:environ", "is no Rule, but "),
        ("datetime:date", "cannot be loaded (TypeError: "),
    ],
)
def test_an_entry_point_without_a_rule_is_named(monkeypatch: pytest.MonkeyPatch, value: str, sentence: str) -> None:
    monkeypatch.setitem(sys.modules, MODULE, ModuleType(MODULE))

    found = load([EntryPoint("mine", value, GROUP)], rules.RULES)

    assert found.rules == []
    assert [each.startswith(f"The rule mine of {value} {sentence}") for each in found.problems] == [True]


def test_rules_are_in_the_order_of_their_names_and_a_second_one_with_a_code_is_left_out(example: EntryPoint) -> None:
    again = EntryPoint("again", example.value, GROUP)

    for points in ([example, again], [again, example]):
        found = load(points, rules.RULES)
        assert [rule.code for _, rule in found.rules] == [CODE]
        assert found.problems == [
            f"The rule languages of {example.value} has the code {CODE}, which another rule or problem has."
        ]


def test_a_rule_of_a_school_is_asked_with_its_own_questions_and_can_be_waived(
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    example: EntryPoint,
    open_term: Make,
    entry: Make,
    course: Make,
    student: Make,
) -> None:
    client = FlaskClient(app)  # which does not compare with the document, made before the rule was there

    def enroll(student_id: int, *course_ids: int) -> Any:
        return client.post(f"/students/{student_id}/enroll", json={"course_ids": course_ids})

    monkeypatch.setattr(rules, "RULES", (*rules.RULES, *(rule for _, rule in load([example], rules.RULES).rules)))
    term_id, one = open_term(), student()
    french, spanish = (
        course(term_id=term_id, catalog_id=entry(code=f"LANG {number}"), capacity=5) for number in (1, 2)
    )
    painting = course(term_id=term_id, catalog_id=entry(code="ART 1"))

    together = enroll(one, french, spanish, painting)
    accepted = enroll(one, french, painting)
    refused = enroll(one, spanish)
    permission = {"course_id": spanish, "rule": CODE, "reason": "Bilingual"}
    granted = client.post(f"/students/{one}/permissions", json=permission)

    codes = [[reason["code"] for reason in each["reasons"]] for each in together.get_json()["decisions"]]
    assert codes == [[CODE], [CODE], []]
    assert accepted.status_code == 201
    ((reason,),) = (each["reasons"] for each in refused.get_json()["decisions"])
    assert (reason["code"], reason["course_ids"]) == (CODE, [french])
    assert granted.status_code == 201
    assert enroll(one, spanish).status_code == 201


@pytest.mark.parametrize("is_valid", [True, False])
def test_the_start_reports_the_rules_of_installed_packages(tmp_path: Path, is_valid: bool) -> None:
    metadata = tmp_path / "language_courses-1.0.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: language-courses\nVersion: 1.0.0\n")
    name = "OneLanguagePerTerm" if is_valid else "Two"
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\nlanguages = language_courses:{name}\n")

    found = subprocess.run(  # noqa: S603 - the command of this service
        [Path(sys.executable).parent / "course-management", "check"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{EXAMPLE}", "DATABASE_URL": "sqlite:///no.db"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    if is_valid:
        assert f"rule    {CODE} (language-courses 1.0.0)" in found.stdout.splitlines()
    else:
        start = "The rule languages of language-courses 1.0.0 cannot be loaded (AttributeError: "
        assert (found.returncode, found.stdout) == (2, "")
        assert found.stderr.startswith(start)
