"""Make thousands of apps in one process for less: nothing here changes what an app does."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from werkzeug.routing import Rule

from course_management import environment


def make_apps_cheap(patch: pytest.MonkeyPatch) -> None:
    """Compile the function that builds a rule's address when it is first called, and compare names once.

    The functions of all rules are three quarters of the time that `create_app` takes, and few tests call one.
    """
    compile_builder = Rule._compile_builder  # noqa: SLF001 - there is no public way

    def compile_later(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compiled = cache(lambda: compile_builder(rule, append_unknown))
        return lambda bound_to, /, **values: compiled()(bound_to, **values)

    @cache
    def matches(name: str, names: tuple[str, ...], *limits: Any) -> list[str]:
        return difflib.get_close_matches(name, names, *limits)

    patch.setattr(Rule, "_compile_builder", compile_later)
    patch.setattr(environment, "get_close_matches", lambda name, names, *limits: matches(name, tuple(names), *limits))
