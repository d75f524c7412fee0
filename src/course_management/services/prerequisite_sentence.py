"""Prerequisites as one sentence, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def sentence(groups: Sequence[Sequence[Mapping[str, Any]]]) -> str | None:
    """Return groups of alternatives in words, as in `CS 173 and (MATH 213 or MATH 347 with C)`; None without a group.

    An alternative is as the facts of `prerequisite_missing` have it: a `code` with a `catalog_id` or a `group_id`, and
    perhaps `minimum_grade`, `minimum_points` and `concurrent_allowed`.
    """
    parts = [" or ".join(map(_in_words, group)) for group in groups]
    if len(parts) > 1:
        parts = [f"({part})" if len(group) > 1 else part for part, group in zip(parts, groups, strict=True)]
    return " and ".join(parts) or None


def _in_words(alternative: Mapping[str, Any]) -> str:
    code = alternative["code"]
    if alternative.get("group_id") is not None:
        return f"group {code}"
    grade, points = alternative.get("minimum_grade"), alternative.get("minimum_points")
    if grade is not None:
        code += f" with {grade}"
    elif points is not None:
        code += f" with {float(points):g} points"
    return f"{code} (concurrent allowed)" if alternative.get("concurrent_allowed") else code
