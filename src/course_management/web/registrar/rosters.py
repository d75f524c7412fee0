"""The students of a course: its roster, also as it was at some time, its waitlist, and its history."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Response
from marshmallow import ValidationError
from marshmallow.fields import Field, Integer, String
from marshmallow.validate import OneOf, Range

from ...access.visitors import Visitor
from ...context import RequestContext
from ...database import AnyRow
from ...database.types import MAX_ID, utcnow
from ...http.responses import download
from ...repositories import enrollments, rosters
from ...repositories.past_rosters import past_roster, past_roster_by_name, whole_past_roster
from ...repositories.student_names import contacts_of, names_by_student, student_name
from ...schemas.fields import credits_of
from ...services.enrollment.decisions import REFUSED
from ...services.enrollment.explaining import check_promotions
from ...services.enrollment.rules import waivable
from ...transfer.rosters import roster_file
from ..actors import actors_in_words
from ..field_forms import as_text
from ..forms import EntryForm
from ..moments import zone
from ..pages import AppPages
from ..reason_texts import staff_page
from ..reasons import ReasonInWords, decisions_in_words
from ..texts import N_
from .course_pages import GRANT_ACCESS, READ_ROSTER_ACCESS, READ_STUDENTS_ACCESS, find, show
from .letting_in import LET_IN_ACCESS

pages = AppPages("registrar_rosters", area=N_("Registrar"))
SHOWN = 50
"""Students, or lines of the ledger, on one page."""
FUTURE = N_("This time has not come yet. Choose an earlier one, or leave it out to see the course as it is now.")


class LocalTime(Field[datetime]):
    """A time of the school's clock, as `<input type="datetime-local">` has it."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        if value == "":
            return None
        try:
            at = datetime.fromisoformat(value)
            moment = (at if at.tzinfo else at.replace(tzinfo=zone())).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationError("Must be a date and a time, as 2026-09-01T08:00.") from None
        if moment > utcnow():
            raise ValidationError(FUTURE)
        return moment


class RosterQuery(EntryForm):
    """The time of the roster (None: now), and the student after whom the page starts."""

    as_of = LocalTime(load_default=None)
    after = Integer(load_default=None, allow_none=True, validate=Range(1, MAX_ID))


class WaitlistQuery(EntryForm):
    """The time of the waitlist (None: now), and after which key and how many students the page starts."""

    as_of = LocalTime(load_default=None)
    after = Integer(load_default=None, allow_none=True, validate=Range(0, MAX_ID))
    shown = Integer(load_default=0, validate=Range(0, MAX_ID))


class FileQuery(EntryForm):
    """Which students are in the file, and of which time (None: now)."""

    status = String(load_default="enrolled", validate=OneOf(["enrolled", "waitlisted"]))
    as_of = LocalTime(load_default=None)


class HistoryQuery(EntryForm):
    """The line of the ledger before which the page starts."""

    before = Integer(load_default=MAX_ID, validate=Range(1, MAX_ID))


@pages.show("/registrar/courses/<id:course_id>/roster", READ_ROSTER_ACCESS, query=RosterQuery)
def show_roster(query: Mapping[str, Any], course_id: int) -> Response:
    """Show the students who are enrolled in a course, or were at some time, by name."""
    course, as_of, last = find(course_id), query["as_of"], query["after"]
    after = ("", 0) if last is None else (student_name(last) or "", last)
    rows = (
        rosters.roster_by_name(course_id, "enrolled", after, SHOWN + 1)
        if as_of is None
        else past_roster_by_name(course_id, "enrolled", as_of, after, SHOWN + 1)
    )
    following = rows[SHOWN - 1].student_id if len(rows) > SHOWN else None
    return _show(course, "enrolled", query, rows, following=following, credits_of=credits_of)


def _show(course: AnyRow, status: str, query: Mapping[str, Any], rows: Sequence[AnyRow], **values: Any) -> Response:
    """Return the page of the students of a course with a status."""
    return show(
        "roster.html" if status == "enrolled" else "waitlist.html",
        course,
        enrollment_status=status,
        rows=rows[:SHOWN],
        as_of=query["as_of"],
        as_of_text=as_text(query["as_of"]),
        is_first=query["after"] is None,
        **values,
    )


@pages.show("/registrar/courses/<id:course_id>/roster.csv", READ_ROSTER_ACCESS, query=FileQuery)
def download_roster(query: Mapping[str, Any], course_id: int) -> Response:
    """Return the whole roster or waitlist as a file for spreadsheets, as the API does, named by course and day."""
    course = find(course_id)
    status, as_of = query["status"], query["as_of"]
    by_name = status == "enrolled"
    whole = (
        rosters.whole_roster(course_id, status, by_name=by_name)
        if as_of is None
        else whole_past_roster(course_id, status, as_of, by_name=by_name)
    )
    contacts = contacts_of([row.student_id for row in whole])
    day = (as_of or utcnow()).astimezone(zone()).date()
    return download(roster_file(whole, contacts), "text/csv", f"{status}-{_in_file_name(course.code)}-{day}.csv")


def _in_file_name(code: str) -> str:
    """Return a code of a course with the characters that file names have in every system."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", code).strip("-.") or "course"


@pages.show("/registrar/courses/<id:course_id>/waitlist", READ_ROSTER_ACCESS, query=WaitlistQuery)
def show_waitlist(query: Mapping[str, Any], course_id: int, visitor: Visitor, context: RequestContext) -> Response:
    """Show the students on the waitlist of a course by position, and why each of them still waits."""
    course, as_of, after = find(course_id), query["as_of"], query["after"]
    shown, against = 0, {}
    if as_of is None:
        rows = rosters.roster(course_id, "waitlisted", -1 if after is None else after, SHOWN + 1)
        following = rows[SHOWN - 1].key if len(rows) > SHOWN else None
        against = _against(course_id, [row.student_id for row in rows[:SHOWN]], context)
    else:
        page = past_roster(course_id, "waitlisted", as_of, (after or 0, query["shown"]), SHOWN)
        rows, (following, shown) = page.rows, page.following or (None, 0)
    return _show(
        course,
        "waitlisted",
        query,
        rows,
        against=against,
        # An instructor sees which rules stop a student, and not the student's holds and other courses.
        staff_page=staff_page if visitor.may(READ_STUDENTS_ACCESS) else None,
        waivable=waivable(),
        may_grant=visitor.may(GRANT_ACCESS, course_id=course_id),
        may_let_in=visitor.may(LET_IN_ACCESS),
        has_seat=course.capacity is None or course.seats_taken < course.capacity,
        following=following,
        shown=shown,
    )


def _against(course_id: int, student_ids: Sequence[int], context: RequestContext) -> dict[int, Sequence[ReasonInWords]]:
    """Return what would stop each student if a seat became free, in words."""
    checks = check_promotions(course_id, student_ids, context)
    decisions = [
        {"course_id": course_id, "outcome": REFUSED, "reasons": [reason.as_dict() for reason in check.reasons]}
        for check in checks.values()
    ]
    return {
        student_id: decision.reasons for student_id, decision in zip(checks, decisions_in_words(decisions), strict=True)
    }


@pages.show("/registrar/courses/<id:course_id>/history", READ_ROSTER_ACCESS, query=HistoryQuery)
def show_history(query: Mapping[str, Any], course_id: int) -> Response:
    """Show what happened to the enrollments of a course, newest first."""
    course = find(course_id)
    rows = enrollments.history_of_course(course_id, query["before"], SHOWN + 1)
    return show(
        "history.html",
        course,
        lines=rows[:SHOWN],
        names=names_by_student(row.student_id for row in rows),
        actors=actors_in_words(row.actor for row in rows),
        following=rows[SHOWN - 1].id if len(rows) > SHOWN else None,
        is_first=query["before"] == MAX_ID,
    )
