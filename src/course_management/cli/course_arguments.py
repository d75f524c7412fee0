"""Courses and terms as they are named on a command line: a code or an id."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import click

from ..database import AnyRow
from ..database.types import MAX_ID
from ..repositories import course_lookup

SHOWN = 20
"""Names in one message, at most."""
NAME = re.compile(r"(?:(id|code)=)?(.*)", re.DOTALL)


def find_term(code: str) -> int:
    """Return the id of the term with this code. Raises `BadParameter`."""
    term_id = course_lookup.term_with_code(code) if _is_text(code) else None
    if term_id is None:
        raise click.BadParameter(f"there is no term {code}. `course-management terms list` lists the terms")
    return term_id


def find_courses(texts: Sequence[str], choose: Callable[[list[AnyRow]], Sequence[AnyRow]]) -> list[AnyRow]:
    """Return one course for each name, with `id, code, term_id, term`. Raises `BadParameter`.

    A name is a code or an id; `code=101` and `id=101` say which. `choose` gets the courses with the same code in
    different terms, and returns those that can be meant.
    """
    parsed = [_parse(text) for text in texts]
    ids = {int(name) for kind, name in parsed if kind != "code" and _is_id(name)}
    codes = {name for kind, name in parsed if kind != "id" and _is_text(name)}
    rows = course_lookup.courses_by_code_or_id(sorted(codes), ids)
    by_id, by_code = {str(row.id): row for row in rows}, _grouped(rows)
    courses: list[AnyRow] = []
    unknown: list[str] = []
    unclear: list[str] = []
    for text, (kind, name) in zip(texts, parsed, strict=True):
        as_id = [by_id[name]] if kind != "code" and name in by_id else []
        as_code = list(choose(by_code.get(name, []))) if kind != "id" else []
        meant = {row.id: row for row in [*as_id, *as_code]}
        if len(meant) == 1:
            courses += meant.values()
        elif not meant:
            unknown.append(text)
        else:
            clear = (
                [f"id={row.id}" for row in as_id] + [f"code={name}"]
                if as_id
                else [f"id={course_id}" for course_id in meant]
            )
            unclear.append(f"{text} can be {' or '.join(map(describe, meant.values()))}; write {' or '.join(clear)}")
    sentences = [f"no course is named {_shown(unknown)}"] if unknown else []
    if sentences := [*sentences, *unclear[:SHOWN]]:
        raise click.BadParameter(". ".join(sentences))
    return courses


def describe(course: AnyRow) -> str:
    """Return a course as messages name it."""
    return f"{course.code} (id {course.id}{f', term {course.term}' if course.term else ''})"


def _parse(text: str) -> tuple[str | None, str]:
    kind, name = NAME.fullmatch(text).groups()  # type: ignore[union-attr]  # it matches every text
    return kind, name


def _is_id(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) <= len(str(MAX_ID)) and str(int(name)) == name


def _is_text(name: str) -> bool:
    """Return whether a database can compare with it: not with NUL, nor with what the shell gave that is no text."""
    return "\0" not in name and name == name.encode(errors="ignore").decode()


def _grouped(rows: Sequence[Any]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for row in rows:
        groups.setdefault(row.code, []).append(row)
    return groups


def _shown(texts: Sequence[str]) -> str:
    more = len(texts) - SHOWN
    return ", ".join(texts[:SHOWN]) + (f" and {more} more" if more > 0 else "")
