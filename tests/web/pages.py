"""The pages of an app, from their access rows: every page is in the tests as soon as it has one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from flask import Flask

from course_management.access import policy
from course_management.access.policy import COLUMNS, Access, _verdict


class Page(NamedTuple):
    """A page or an action: its method, its rule, and its access row."""

    method: str
    rule: str
    access: Access

    def path(self, ids: Mapping[str, Any]) -> str:
        """Return its path, with these values."""
        names = re.findall(r"<(?:\w+:)?(\w+)>", self.rule)
        assert ids.keys() >= set(names), f"Add a value for each of {names} to `ids` in tests/web/school.py."
        return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(ids[found[1]]), self.rule) + QUERIES.get(self.rule, "")


QUERIES = {
    "/app/seats": "?ids=1-2",
    "/app/standing": "?ids=1-2",
    "/app/registrar/students/<id:student_id>/standing": "?ids=1-2",
    "/app/registrar/students/<id:student_id>/completions/delete": "?catalog_id=1&term_code=2025",
}
"""What a page needs to be shown."""
FRAGMENTS = {
    "/app/seats",
    "/app/standing",
    "/app/registrar/students/<id:student_id>/standing",
    "/app/schedule.ics",
    "/app/registrar/students/<id:student_id>/schedule.ics",
    "/app/registrar/courses/<id:course_id>/roster.csv",
    "/app/registrar/imports/<id:import_id>/report.csv",
    "/app/registrar/exports/students.csv",
    "/app/registrar/exports/courses.csv",
    "/app/registrar/exports/enrollments.csv",
    "/app/registrar/exports/oneroster.zip",
}
"""What is no page: parts of pages, and downloads."""
REDIRECTS = {"/app/", "/app/session", "/app/login", "/app/login/start", "/app/login/back"}
"""Pages that may redirect, or depend on how people sign in."""
UNKNOWN = "/app/<path:path>"


def verdict(page: Page, kind: str) -> str:
    """Return the cell of docs/access.md: `yes`, or the status of the refusal."""
    named = [1 if name in page.rule else None for name in ("student_id", "course_id")]
    return str(_verdict(page.access, COLUMNS[kind], *named))


def pages(app: Flask, method: str | None = None) -> Iterator[Page]:
    """Yield the pages (GET) and actions (POST)."""
    for found in policy.rows(app):
        page = Page(*found)
        if page.access.by_session and page.rule != UNKNOWN and method in {None, page.method}:
            yield page
