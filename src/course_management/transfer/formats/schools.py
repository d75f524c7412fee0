"""Schools of OneRoster and School Data Sync files: which there are, and which rows are of another one than chosen."""

from __future__ import annotations

from collections.abc import Iterator

from ..findings import FileRefused, Finding
from ..tables import Row
from .base import Files

_OF_ROW = ("schoolsourcedid", "orgsourcedid")
_OF_USER = ("orgsourcedids", "orgs", "orgsourcedid", "primaryorgsourcedid")


def check(files: Files) -> None:
    """Warn if the files have several schools and none is chosen. Raises `FileRefused` if they lack the chosen one."""
    schools = {school for row, _ in files.rows("classes", quiet=True) if (school := _of(row))}
    if not schools:
        schools = {school for row, _ in files.rows("users", quiet=True) for school in _of_user(row)}
    chosen = files.options.school
    if chosen is not None and chosen not in schools:
        names = {row.get("sourcedid"): f"{row.get('sourcedid')} ({row.get('name')})" for row, _ in files.rows("orgs")}
        listed = ", ".join(names.get(school, school) for school in sorted(schools))
        have = f"They have: {listed}." if schools else "They do not say of which schools they are."
        raise FileRefused("", "no_such_school", f"There is no school {chosen!r} in these files. {have}")
    if chosen is None and len(schools) > 1:
        listed = ", ".join(sorted(schools))
        detail = f"The files have {len(schools)} schools: {listed}. All are imported; --school ID takes one."
        name = "classes" if "classes" in files else "users"
        file = files.tables[name][0].source.name
        files.options.report(Finding(file=file, code="several_schools", detail=detail, is_error=False))


def is_elsewhere(files: Files, row: Row) -> bool:
    """Return whether a class or a course is of another school than the chosen one."""
    return files.options.school is not None and _of(row) not in ("", files.options.school)


def is_user_elsewhere(files: Files, row: Row) -> bool:
    """Return whether a user is only of other schools than the chosen one."""
    schools = {*_of_user(row)}
    return files.options.school is not None and bool(schools) and files.options.school not in schools


def _of(row: Row) -> str:
    return row.get(_OF_ROW[0]) or row.get(_OF_ROW[1])


def _of_user(row: Row) -> Iterator[str]:
    for text in map(row.get, _OF_USER):
        yield from filter(None, map(str.strip, text.split(",")))
