"""The rules of a school: those of installed packages, which follow `RULES`.

A package names its rules as entry points of the group `course_management.rules`. They are loaded when this module is
imported, before the schemas and pages that list every code. A rule that is not valid is left out, and the app does not
start: `create_app` raises what `INSTALLED.problems` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_args

from sqlalchemy import BindParameter, Select
from sqlalchemy.sql import visitors

from ....errors import all_codes
from .. import rules
from ..questions import QUESTIONS
from ..situation import Action
from .base import Rule

GROUP = "course_management.rules"
CODE = re.compile(r"[a-z][a-z0-9_]{0,49}")
"""As long as the column for the code of a permission."""
PARAMETERS = {"student", "course_ids", "at"}
"""What a question can ask for."""


@dataclass(frozen=True, slots=True)
class Installed:
    """The rules of installed packages by the names of their packages, and a sentence for each that is not valid."""

    rules: Sequence[tuple[str, Rule]]
    problems: Sequence[str]


def load(points: Iterable[EntryPoint], present: Sequence[Rule]) -> Installed:
    """Return the rules of these entry points in the order of their names; `present` are the rules before them."""
    valid_rules: list[tuple[str, Rule]] = []
    problems: list[str] = []
    for entry_point in sorted(points, key=lambda point: (point.name, point.value)):
        package = f"{entry_point.dist.name} {entry_point.dist.version}" if entry_point.dist else entry_point.value
        try:
            rule = entry_point.load()
            rule = rule() if isinstance(rule, type) else rule
        except Exception as error:  # noqa: BLE001 - the code of another package may raise anything
            mistakes = [f"cannot be loaded ({type(error).__name__}: {error})"]
        else:
            mistakes = [*_problems(rule, [*present, *(valid for _, valid in valid_rules)])]
            if not mistakes:
                valid_rules.append((package, rule))
        problems += [f"The rule {entry_point.name} of {package} {sentence}." for sentence in mistakes]
    return Installed(valid_rules, problems)


def _problems(rule: object, present: Sequence[Rule]) -> Iterator[str]:
    """Yield what is wrong with a rule, as the end of a sentence."""
    if not isinstance(rule, Rule):
        yield f"is no Rule, but {type(rule).__name__}"
        return
    for name in ("code", "title", "meaning", "remedy"):
        value = getattr(type(rule), name, None)
        if not isinstance(value, str) or not value.strip():
            yield f"has no {name}, a text of its class"
    if type(rule).against is Rule.against:
        yield "has no function `against`"
    if type(rule).__hash__ is None:
        yield "cannot be hashed; a dataclass needs eq=False"
    yield from _problems_of_values(rule)
    if isinstance(code := getattr(rule, "code", None), str):
        if not CODE.fullmatch(code):
            yield f"has the code {code!r}; it must be 1 to 50 lower-case letters, digits and underscores"
        elif code in {other.code for other in present} or all_codes().get(code) is not type(rule):
            yield f"has the code {code}, which another rule or problem has"
    for name, question in _mapping(rule.questions).items():
        yield from _problems_of_question(name, question, present)


def _problems_of_values(rule: Rule) -> Iterator[str]:
    actions = getattr(rule, "applies_to", None)
    if not isinstance(actions, frozenset) or not actions or not actions <= {*get_args(Action)}:
        yield f"has no applies_to, a frozenset of some of: {', '.join(get_args(Action))}"
    if not rule.needs_term:  # courses without a term are enrolled in by a statement that applies no rules
        yield "has needs_term = False; a rule of a school applies to courses of terms"
    if not isinstance(rule.example, Mapping) or {"code", "detail"} & rule.example.keys():
        yield "has no valid example: facts by their names, which are not code or detail"
    if not isinstance(rule.questions, Mapping):
        yield "has no valid questions: queries by their names"


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _problems_of_question(name: Any, question: Any, present: Sequence[Rule]) -> Iterator[str]:
    taken = dict(QUESTIONS)
    for rule in present:
        taken |= rule.questions
    if not isinstance(name, str) or not CODE.fullmatch(name) or not isinstance(question, Select):
        yield f"has the question {name!r}; it must be a select, named by lower-case letters, digits and underscores"
    elif taken.get(name, question) is not question:
        yield f"has the question {name}, and another question has that name"
    else:
        bound = (element for element in visitors.iterate(question) if isinstance(element, BindParameter))
        if unknown := {parameter.key for parameter in bound if parameter.required} - PARAMETERS:
            yield f"has the question {name} with parameters that have no value: {', '.join(sorted(unknown))}"


INSTALLED = load(entry_points(group=GROUP), rules.RULES)
rules.RULES = (*rules.RULES, *(rule for _, rule in INSTALLED.rules))
