"""Files for other systems, as the API exports them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flask import Response, current_app

from ...access.policy import PageAccess
from ...errors import TermNotFound
from ...http.responses import download
from ...repositories.course_lookup import all_terms
from ...spooled_body import body_of_snapshot
from ...transfer import kinds, oneroster
from ...transfer.exporting import MEDIA_TYPE, write_csv
from ...transfer.oneroster import write_oneroster
from ..forms import EntryForm, FormId
from ..pages import AppPages, render
from ..texts import N_

pages = AppPages("registrar_exports", area=N_("Registrar"))
READ_ACCESS = PageAccess(scope="exports:read")


class TermQuery(EntryForm):
    """The term of which a file has the rows; none: everything."""

    term_id = FormId()


@pages.show("/registrar/exports", READ_ACCESS, link=N_("Exports"))
def show_exports() -> Response:
    """Show the files that there are."""
    return render("registrar/exports.html", terms=sorted(all_terms(), key=lambda term: term.starts_on, reverse=True))


@pages.show("/registrar/exports/students.csv", READ_ACCESS, query=TermQuery)
def download_students(query: Mapping[str, Any]) -> Response:
    """Download all students, or those who are enrolled in a term."""
    return _file(partial(write_csv, kinds.STUDENT_KIND), MEDIA_TYPE, "students.csv", query["term_id"])


@pages.show("/registrar/exports/courses.csv", READ_ACCESS, query=TermQuery)
def download_courses(query: Mapping[str, Any]) -> Response:
    """Download all courses, or those of a term."""
    return _file(partial(write_csv, kinds.COURSE_KIND), MEDIA_TYPE, "courses.csv", query["term_id"])


@pages.show("/registrar/exports/enrollments.csv", READ_ACCESS, query=TermQuery)
def download_enrollments(query: Mapping[str, Any]) -> Response:
    """Download who is enrolled in what."""
    return _file(partial(write_csv, kinds.ENROLLMENT_KIND), MEDIA_TYPE, "enrollments.csv", query["term_id"])


@pages.show("/registrar/exports/oneroster.zip", READ_ACCESS)
def download_oneroster() -> Response:
    """Download the school as OneRoster 1.2."""
    return _file(write_oneroster, oneroster.MEDIA_TYPE, "oneroster.zip", None)


def _file(write: Callable[..., object], media_type: str, name: str, term_id: int | None) -> Response:
    if term_id is not None and all(term.id != term_id for term in all_terms()):
        raise TermNotFound
    return download(body_of_snapshot(current_app.extensions["settings"], write, term_id), media_type, name)
