"""The student whom a page of the staff is about: the name above the page, and the navigation between these pages.

A student has the same pages without an id in their paths. Templates write links to them as `{{ student_root }}/…`, and
so lead students to their own pages, and the staff to those about the student.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app, request
from sqlalchemy.exc import SQLAlchemyError

from ..access.policy import PageAccess
from ..repositories.student_names import student_name
from .pages import STUDENT, AppPages, Link, root, visitor

READ_ACCESS = PageAccess(scope="students:read", advisor=True)


@dataclass(frozen=True, slots=True)
class Subject:
    """A student, and the pages about the student that are for the visitor."""

    id: int
    name: str
    tabs: Sequence[Link]


def init_app(app: Flask) -> None:
    """Give all templates `student_root` and `subject`."""
    app.context_processor(_values)


def path_about(student_id: int, path: str = "") -> str:
    """Return the path of a page about a student, below `/app`."""
    return f"{STUDENT.replace('<id:student_id>', str(student_id))}{path}"


def _values() -> dict[str, Any]:
    student_id = (request.view_args or {}).get("student_id")
    if student_id is None:
        return {"student_root": root(), "subject": None}
    return {"student_root": f"{root()}{path_about(student_id)}", "subject": _subject(student_id)}


def _subject(student_id: int) -> Subject | None:
    """Return the student, unless the visitor may not know that there is one: error pages have this heading, too."""
    seen = visitor()
    if not seen.may(READ_ACCESS, student_id):
        return None
    try:
        name = student_name(student_id)
    except SQLAlchemyError:
        return None  # the page reports it
    pages = [each for each in current_app.blueprints.values() if isinstance(each, AppPages)]
    tabs = [tab for each in pages for tab in each.tabs if seen.may(tab.access, student_id)]
    return Subject(student_id, name, tabs) if name is not None else None
