"""Prerequisites as one sentence, for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def sentence(groups: Sequence[Sequence[Mapping[str, Any]]], say: Callable[[str], str] = str) -> str | None:
    """Return groups of alternatives in words, as in `CS 173 and (MATH 213 or MATH 347 with C)`; None without a group.

    An alternative is as the facts of `prerequisite_missing` have it: a `code` with a `catalog_id` or a `group_id`, and
    perhaps `minimum_grade`, `minimum_points` and `concurrent_allowed`.
    `say` translates each of the words between them.
    """
    parts = [f" {say('or')} ".join(_in_words(each, say) for each in group) for group in groups]
    if len(parts) > 1:
        parts = [f"({part})" if len(group) > 1 else part for part, group in zip(parts, groups, strict=True)]
    return f" {say('and')} ".join(parts) or None


def _in_words(alternative: Mapping[str, Any], say: Callable[[str], str]) -> str:
    code = alternative["code"]
    if alternative.get("group_id") is not None:
        return f"{say('group')} {code}"
    grade, points = alternative.get("minimum_grade"), alternative.get("minimum_points")
    if grade is not None:
        code += f" {say('with')} {grade}"
    elif points is not None:
        code += f" {say('with')} {float(points):g} {say('points')}"
    return f"{code} ({say('concurrent allowed')})" if alternative.get("concurrent_allowed") else code
