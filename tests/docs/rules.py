"""The tables of docs/rules.md, from the classes of the rules."""

from __future__ import annotations

from collections.abc import Iterator

from course_management.services.enrollment.rules import RULES, Rule
from course_management.services.enrollment.rules.base import RuleGuide

IN_WORDS = {
    "enroll": "enrolling",
    "waitlist": "joining a waitlist",
    "promote": "promotion",
    "unenroll": "unenrolling",
    "change_credits": "changing credits",
    "recheck": "rechecking",
}
"""The actions of a rule, in the order of the table."""


def table() -> str:
    """Return a row for each rule: when it applies, whether a permission waives it, and what else resolves it."""
    rows = ["| reason | applies to | a permission waives it | otherwise |", "|---|---|---|---|"]
    for rule, guide in _with_guides():
        applies_to = ", ".join(IN_WORDS[action] for action in IN_WORDS if action in rule.applies_to)
        waived = "yes" if rule.is_waivable else "no"
        rows.append(f"| [`{rule.code}`](#{guide.section}) | {applies_to} | {waived} | {guide.resolution} |")
    return "\n".join(rows)


def table_of_reasons() -> str:
    """Return a row for each rule: what its reason says, its facts, and the data that it needs."""
    rows = ["| reason | what it says | facts | data |", "|---|---|---|---|"]
    for rule, guide in _with_guides():
        facts = "; ".join(f"`{name}`: {meaning}" for name, meaning in guide.facts.items()) or "none"
        rows.append(f"| `{rule.code}` | {rule.meaning} | {facts} | {guide.data} |")
    return "\n".join(rows)


def _with_guides() -> Iterator[tuple[Rule, RuleGuide]]:
    for rule in RULES:
        if rule.guide:  # tests/docs/test_pages.py reports a rule without one
            yield rule, rule.guide
