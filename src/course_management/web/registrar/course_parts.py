"""When a course meets, and whom it takes: meetings, restrictions and links, each as a table to edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, request

from ...database import AnyRow
from ...errors import Problem, ValidationFailed
from ...http.responses import fingerprint
from ...repositories import course_search, resources
from ...repositories.course_lookup import all_terms, codes_of, courses_of
from ...repositories.student_names import names_of
from ...repositories.timetables import clashing_students, meetings_of
from ...schemas.fields import Id
from ...schemas.terms import PERSON_IDS, RESTRICTIONS, RestrictionBody
from ...schemas.timetables import MEETINGS, LinksBody, MeetingBody
from ...services import courses as course_service
from ...services import timetables
from ...services.terms import GROUPS
from ..lists import prerequisites_in_words, replace_from_form, rows_of
from ..moments import WEEKDAYS
from ..pages import AppPages, done
from ..resource_forms import REFUSED, json_value, load
from ..texts import N_, _, ngettext
from .course import READ, find, path_of, show
from .courses import WRITE
from .tables import Table, TableForm

pages = AppPages("registrar_course_parts", area=N_("Registrar"))
MEETING_ROWS = Table(MeetingBody(), ("weekday", "starts", "ends"))
RESTRICTION_ROWS = Table(RestrictionBody(), ("group_id",), {"admits": "true"})
CLASHING_SHOWN = 50
"""Students with a time conflict who are named."""
GROUPS_AT_ONCE = 1_000


@pages.show("/registrar/courses/<id:course_id>/meetings", READ)
def show_meetings(course_id: int) -> Response:
    """Show the meetings of a course, to be edited, and the students for whom they clash with others."""
    course = find(course_id)
    rows = rows_of(timetables.MEETINGS, course_id)
    items = timetables.MEETINGS.content(rows)
    return _meetings(course, MEETING_ROWS.stored(items, fingerprint(rows), _days_of(course)))


@pages.act("/registrar/courses/<id:course_id>/meetings", WRITE)
def change_meetings(course_id: int) -> Response:
    """Replace the meetings of a course."""
    try:
        body = load(MEETINGS, MEETING_ROWS.body(request.form))
        replace_from_form(timetables.MEETINGS, course_id, body)
    except REFUSED as problem:
        course = find(course_id)
        return _meetings(course, MEETING_ROWS.entered(request.form, _days_of(course), problem))
    clashing = len(clashing_students(course_id))
    sentence = ngettext(
        "%(num)s student of the course now has another course at the same time; see below.",
        "%(num)s students of the course now have another course at the same time; see below.",
        clashing,
    )
    return done(
        path_of(course_id, "/meetings"), f"{_('The meetings are saved.')} {sentence if clashing else ''}".strip()
    )


def _meetings(course: AnyRow, form: TableForm) -> Response:
    clashing = clashing_students(course.id)
    return show(
        "meetings.html",
        course,
        form.status,
        form=form,
        meetings=meetings_of([course.id]).get(course.id, ()),
        weekdays=[(str(number), _(name)) for number, name in enumerate(WEEKDAYS, 1)],
        clashing=clashing[:CLASHING_SHOWN],
        more_clashing=max(len(clashing) - CLASHING_SHOWN, 0),
        names=names_of(clashing[:CLASHING_SHOWN]),
    )


def _days_of(course: AnyRow) -> dict[str, str]:
    """Return the days of a new meeting: those of the term."""
    for term in all_terms():
        if term.id == course.term_id:
            return {"starts_on": term.starts_on.isoformat(), "ends_on": term.ends_on.isoformat()}
    return {}


@pages.show("/registrar/courses/<id:course_id>/rules", READ)
def show_rules(course_id: int) -> Response:
    """Show whom a course takes: prerequisites, restrictions, links and permission, and forms to change them."""
    return _rules(find(course_id))


@pages.act("/registrar/courses/<id:course_id>/restrictions", WRITE)
def change_restrictions(course_id: int) -> Response:
    """Replace the groups that a course admits and excludes."""
    try:
        body = load(RESTRICTIONS, RESTRICTION_ROWS.body(request.form))
        replace_from_form(course_service.RESTRICTIONS, course_id, body)
    except REFUSED as problem:
        return _rules(find(course_id), restrictions=RESTRICTION_ROWS.entered(request.form, {}, problem))
    return done(path_of(course_id, "/rules"), _("The restrictions are saved."))


@pages.act("/registrar/courses/<id:course_id>/links", WRITE)
def change_links(course_id: int) -> Response:
    """Replace the courses that a student takes together with a course. They are named by their codes."""
    course = find(course_id)
    texts = [text for text in request.form.getlist("group") if text.strip()]
    try:
        body = load(LinksBody(), {"groups": _ids_of(texts, course)})
        replace_from_form(timetables.LINKS, course_id, body)
    except REFUSED as problem:
        return _rules(course, links=(texts, request.form.get("version", ""), problem))
    return done(path_of(course_id, "/rules"), _("The linked courses are saved."))


@pages.act("/registrar/courses/<id:course_id>/instructors", WRITE)
def change_instructors(course_id: int) -> Response:
    """Replace the instructors of a course. They are named by the ids of people."""
    texts = [text for part in request.form.get("instructors", "").split(",") if (text := part.strip())]
    body = load(PERSON_IDS, [json_value(Id(), text) for text in texts])
    replace_from_form(course_service.INSTRUCTORS, course_id, body)
    return done(path_of(course_id), _("The instructors are saved."))


def _ids_of(texts: Sequence[str], course: AnyRow) -> list[list[int]]:
    """Return the ids of courses of the same term by their codes. Raises `ValidationFailed` for unknown codes."""
    groups = [[code for part in text.split(",") if (code := " ".join(part.split()))] for text in texts]
    rows = courses_of(sorted({code for group in groups for code in group}), [])
    ids = {row.code: row.id for row in rows if row.term_id == course.term_id}
    errors = [
        {"pointer": f"/group/{number}", "detail": _("No course of this term has the code %(code)s.", code=code)}
        for number, group in enumerate(groups)
        for code in group
        if code not in ids
    ]
    if errors:
        raise ValidationFailed(errors=errors)
    return [[ids[code] for code in group] for group in groups]


def _rules(
    course: AnyRow,
    restrictions: TableForm | None = None,
    links: tuple[Sequence[str], str, Problem] | None = None,
) -> Response:
    restriction_rows = rows_of(course_service.RESTRICTIONS, course.id)
    present = course_service.RESTRICTIONS.content(restriction_rows)
    link_rows = rows_of(timetables.LINKS, course.id)
    linked = timetables.LINKS.content(link_rows)["groups"]
    codes = codes_of(each for group in linked for each in group)
    groups = {row.id: row for row in all_groups()}
    form = restrictions or RESTRICTION_ROWS.stored(present, fingerprint(restriction_rows), {})
    texts, version, problem = links or (
        [", ".join(sorted(codes.get(each, "?") for each in group)) for group in linked],
        fingerprint(link_rows),
        None,
    )
    return show(
        "rules.html",
        course,
        problem.status if problem else form.status,
        prerequisites=prerequisites_in_words(course.catalog_id) if course.catalog_id else None,
        admitted=_by_kind(present, groups, admits=True),
        excluded=_by_kind(present, groups, admits=False),
        links=[course_search.of_ids(group) for group in linked],
        form=form,
        groups=[(str(row.id), f"{row.kind}: {row.code} · {row.title}") for row in groups.values()],
        texts=[*texts, "", ""],
        links_version=version,
        links_errors=[error["detail"] for error in problem.members.get("errors", ())] if problem else [],
        links_detail=_(problem.detail) if problem else "",
    )


def all_groups() -> list[AnyRow]:
    rows: list[AnyRow] = []
    while page := resources.page(
        GROUPS.model, ["id", "kind", "code", "title"], rows[-1].id if rows else 0, GROUPS_AT_ONCE, {}
    ):
        rows += page
    return sorted(rows, key=lambda row: (row.kind, row.code))


def _by_kind(
    present: Sequence[Mapping[str, Any]], groups: Mapping[int, AnyRow], *, admits: bool
) -> dict[str, list[str]]:
    """Return the titles of the groups that a course admits (or excludes) by kind."""
    found: dict[str, list[str]] = {}
    for item in present:
        if item["admits"] == admits and (group := groups.get(item["group_id"])):
            found.setdefault(group.kind, []).append(group.title)
    return found
