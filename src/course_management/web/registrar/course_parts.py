"""When a course meets, whom it takes, and who teaches it: meetings, restrictions, links and instructors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response
from marshmallow import Schema, ValidationError
from marshmallow.fields import Field

from ...database import AnyRow
from ...errors import ValidationFailed
from ...http.responses import fingerprint
from ...repositories import course_search
from ...repositories.course_lookup import all_terms, course_codes
from ...repositories.student_names import names_by_student
from ...repositories.timetables import clashing_students, meetings_of
from ...schemas.terms import PERSON_IDS, RESTRICTIONS_BODY, RestrictionBody
from ...schemas.timetables import MEETINGS_BODY, LinksBody, MeetingBody
from ...services import courses as course_service
from ...services import timetables
from ..field_forms import FieldForm, json_value, load
from ..lists import prerequisites_in_words, replace_from_form, rows_of
from ..moments import WEEKDAYS
from ..pages import AppPages, redirect
from ..references import course_named
from ..tables import Table
from ..texts import N_, _, ngettext
from .course_list import WRITE_ACCESS
from .course_pages import READ_ACCESS, find, path_of, show
from .groups import all_groups, groups_to_choose

pages = AppPages("registrar_course_parts", area=N_("Registrar"))
CLASHING_SHOWN = 50
"""Students with a time conflict who are named."""


class Lines(Field[list[list[str]]]):
    """A text of several lines, and in each line words that are separated by commas."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[list[str]]:
        lines = [[" ".join(word.split()) for word in line.split(",")] for line in str(value).splitlines()]
        return [words for line in lines if (words := [word for word in line if word])]


class LinksForm(LinksBody):
    """The courses that are taken together with a course: their codes."""

    groups = Lines(load_default=list)  # type: ignore[assignment]


class InstructorsForm(Schema):
    """The instructors of a course: the ids of people."""

    instructors = Lines(load_default=list)


MEETING_ROWS = Table(
    MeetingBody(),
    MEETINGS_BODY,
    {
        "weekday": N_("Day"),
        "starts": N_("From"),
        "ends": N_("To"),
        "starts_on": N_("First day"),
        "ends_on": N_("Last day"),
        "place": N_("Place"),
    },
    ("weekday", "starts", "ends"),
    {"starts": "09:00", "ends": "09:50"},
    {"weekday": lambda: [("", "-"), *((str(number), _(name)) for number, name in enumerate(WEEKDAYS, 1))]},
)
RESTRICTION_ROWS = Table(
    RestrictionBody(),
    RESTRICTIONS_BODY,
    {"group_id": N_("Group"), "admits": N_("The course is")},
    ("group_id",),
    options={
        "group_id": lambda: [("", _("No group")), *groups_to_choose()],
        "admits": lambda: [("true", _("for it")), ("", _("not for it"))],
    },
    defaults={"admits": "true"},
)
LINKS_FORM = FieldForm(
    LinksForm,
    {"groups": N_("Courses that are taken together with it")},
    {"groups": N_("Codes of courses of the same term, separated by commas. A student takes one of each line.")},
    long=["groups"],
)
INSTRUCTORS_FORM = FieldForm(
    InstructorsForm,
    {"instructors": N_("Instructors, by id")},
    {"instructors": N_("The ids of people from the page People, separated by commas.")},
)


@pages.show("/registrar/courses/<id:course_id>/meetings", READ_ACCESS)
def show_meetings(course_id: int) -> Response:
    """Show the meetings of a course, to be edited, and the students for whom they clash with others."""
    course, rows, clashing = find(course_id), rows_of(timetables.MEETING_LIST, course_id), clashing_students(course_id)
    return show(
        "meetings.html",
        course,
        form=MEETING_ROWS.shown(timetables.MEETING_LIST.content(rows), fingerprint(rows), _days_of(course)),
        meetings=meetings_of([course_id]).get(course_id, ()),
        clashing=clashing[:CLASHING_SHOWN],
        more_clashing=max(len(clashing) - CLASHING_SHOWN, 0),
        names=names_by_student(clashing[:CLASHING_SHOWN]),
    )


@pages.act("/registrar/courses/<id:course_id>/meetings", WRITE_ACCESS, form=MEETING_ROWS, page=show_meetings)
def change_meetings(form: Any, course_id: int) -> Response:
    """Replace the meetings of a course."""
    replace_from_form(timetables.MEETING_LIST, course_id, form)
    clashing = len(clashing_students(course_id))
    sentence = ngettext(
        "%(num)s student of the course now has another course at the same time; see below.",
        "%(num)s students of the course now have another course at the same time; see below.",
        clashing,
    )
    return redirect(
        path_of(course_id, "/meetings"), f"{_('The meetings are saved.')} {sentence if clashing else ''}".strip()
    )


def _days_of(course: AnyRow) -> dict[str, str]:
    """Return the days of a new meeting: those of the term."""
    for term in all_terms():
        if term.id == course.term_id:
            return {"starts_on": term.starts_on.isoformat(), "ends_on": term.ends_on.isoformat()}
    return {}


@pages.show("/registrar/courses/<id:course_id>/rules", READ_ACCESS)
def show_rules(course_id: int) -> Response:
    """Show whom a course takes: prerequisites, restrictions, links and permission, and forms to change them."""
    course = find(course_id)
    restriction_rows = rows_of(course_service.RESTRICTION_LIST, course_id)
    present = course_service.RESTRICTION_LIST.content(restriction_rows)
    link_rows = rows_of(timetables.LINK_LIST, course_id)
    linked = timetables.LINK_LIST.content(link_rows)["groups"]
    codes = course_codes(linked_id for group in linked for linked_id in group)
    lines = [", ".join(sorted(codes.get(linked_id, "?") for linked_id in group)) for group in linked]
    groups = {row.id: row for row in all_groups()}
    return show(
        "rules.html",
        course,
        prerequisites=prerequisites_in_words(course.catalog_id) if course.catalog_id else None,
        admitted=_by_kind(present, groups, admits=True),
        excluded=_by_kind(present, groups, admits=False),
        links=[course_search.courses_by_id(group) for group in linked],
        has_groups=bool(groups),
        form=RESTRICTION_ROWS.shown(present, fingerprint(restriction_rows)),
        links_form=LINKS_FORM.shown(values={"groups": "\n".join(lines)}, version=fingerprint(link_rows)),
    )


@pages.act("/registrar/courses/<id:course_id>/restrictions", WRITE_ACCESS, form=RESTRICTION_ROWS, page=show_rules)
def change_restrictions(form: Any, course_id: int) -> Response:
    """Replace the groups that a course admits and excludes."""
    replace_from_form(course_service.RESTRICTION_LIST, course_id, form)
    return redirect(path_of(course_id, "/rules"), _("The restrictions are saved."))


@pages.act("/registrar/courses/<id:course_id>/links", WRITE_ACCESS, form=LINKS_FORM, page=show_rules)
def change_links(form: Mapping[str, Any], course_id: int) -> Response:
    """Replace the courses that a student takes together with a course. They are named by their codes."""
    course = find(course_id)
    try:
        groups = [[course_named(code, course.term_id).id for code in group] for group in form["groups"]]
    except ValidationError as error:
        raise ValidationFailed(errors=[{"pointer": "/groups", "detail": str(error.messages[0])}]) from None
    replace_from_form(timetables.LINK_LIST, course_id, load(LinksBody(), {"groups": groups}))
    return redirect(path_of(course_id, "/rules"), _("The linked courses are saved."))


@pages.show("/registrar/courses/<id:course_id>/instructors", WRITE_ACCESS)
def show_instructors(course_id: int) -> Response:
    """Show the instructors of a course, to be changed."""
    rows = rows_of(course_service.INSTRUCTOR_LIST, course_id)
    ids = ", ".join(str(person_id) for (person_id,) in rows)
    return show(
        "instructors.html",
        find(course_id),
        form=INSTRUCTORS_FORM.shown(values={"instructors": ids}, version=fingerprint(rows)),
        instructors=course_search.instructors_of(course_id),
    )


@pages.act("/registrar/courses/<id:course_id>/instructors", WRITE_ACCESS, form=INSTRUCTORS_FORM, page=show_instructors)
def change_instructors(form: Mapping[str, Any], course_id: int) -> Response:
    """Replace the instructors of a course. They are named by the ids of people."""
    texts = [text for line in form["instructors"] for text in line]
    body = load(PERSON_IDS, [json_value(PERSON_IDS.inner, text) for text in texts])
    replace_from_form(course_service.INSTRUCTOR_LIST, course_id, body)
    return redirect(path_of(course_id), _("The instructors are saved."))


def _by_kind(
    present: Sequence[Mapping[str, Any]], groups: Mapping[int, AnyRow], *, admits: bool
) -> dict[str, list[str]]:
    """Return the titles of the groups that a course admits (or excludes) by kind."""
    found: dict[str, list[str]] = {}
    for item in present:
        if item["admits"] == admits and (group := groups.get(item["group_id"])):
            found.setdefault(group.kind, []).append(group.title)
    return found
