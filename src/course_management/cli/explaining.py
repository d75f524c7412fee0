"""`course-management rules`: why a student can, or cannot, enroll in courses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, tzinfo
from typing import Any

import click

from ..config import Settings
from ..context import RequestContext
from ..database import AnyRow
from ..errors import StudentNotFound
from ..repositories.student_names import student_name
from ..services.enrollment.decisions import Decision
from ..services.enrollment.explaining import explain
from ..services.enrollment.rules import waivable
from ..services.enrollment.situation import Course, Situation, Window
from . import course_arguments
from .service import REFUSED, service

OUTCOMES = {"already_enrolled": "is enrolled already", "already_waitlisted": "is on the waitlist already"}
NEW_STATUSES = {"enrolled": "would be enrolled", "waitlisted": "would join the waitlist"}


@click.command("rules")
@click.argument("student", type=click.IntRange(1))
@click.argument("courses", nargs=-1, required=True, metavar="COURSE...")
@click.option("--term", help="The code of the term, where courses of several terms have the same code.")
@click.option("--waitlist", is_flag=True, help="Decide about joining the waitlist of courses that are full.")
def explain_request(student: int, courses: tuple[str, ...], term: str | None, *, waitlist: bool) -> None:
    """Explain whether the student with the id STUDENT can enroll in courses (codes or ids). Changes nothing.

    Prints for each course what would happen, each reason against it, whether a permission can waive it, and which
    permissions and registration windows were considered. Exit code 3 if a course is refused.
    """
    time_zone = Settings.load().time_zone
    context = RequestContext(time_zone=time_zone)
    with service():
        term_id = course_arguments.find_term(term) if term else None
        course_rows = course_arguments.find_courses(
            courses, lambda rows: [row for row in rows if term_id in {None, row.term_id}]
        )
        ids = list(dict.fromkeys(row.id for row in course_rows))
        try:
            decisions, situation = explain(student, ids, waitlist=waitlist, context=context)
        except StudentNotFound:
            raise click.BadParameter(f"there is no student with the id {student}", param_hint="STUDENT") from None
        name = student_name(student)
    for line in _about_student(student, name, situation, time_zone):
        click.echo(line)
    rows = {row.id: row for row in course_rows}
    for decision in decisions:
        click.echo()
        for line in _about_course(rows[decision.course_id], decision, situation, time_zone):
            click.echo(line)
    if any(decision.outcome == "refused" for decision in decisions):
        raise SystemExit(REFUSED)


def _about_student(student: int, name: str | None, situation: Situation, time_zone: tzinfo) -> Iterator[str]:
    yield f"Student {student}, {name}, at {_shown(situation.now, time_zone)}"
    holds = [f"{hold.kind} (blocks: {hold.blocks}; contact: {hold.contact})" for hold in situation.holds]
    yield f"  holds: {', '.join(holds) or 'none'}"
    yield f"  ids of groups: {', '.join(map(str, sorted(situation.group_ids))) or 'none'}"


def _about_course(row: AnyRow, decision: Decision, situation: Situation, time_zone: tzinfo) -> Iterator[str]:
    yield f"{course_arguments.describe(row)}: {_outcome(decision)}"
    for reason in decision.reasons:
        can = "can" if reason.code in waivable() else "cannot"
        yield f"  {reason.code}: {reason.describe()} (a permission {can} waive it)"
        if reason.facts:
            yield f"    {_facts(reason.facts, time_zone)}"
    permissions = sorted(rule for course_id, rule in situation.permissions if course_id == row.id)
    yield f"  permissions: {', '.join(permissions) or 'none'}"
    course = situation.courses.get(row.id)
    if course and course.term:
        yield f"  windows of {course.term.code}: {'; '.join(_windows(course, situation, time_zone)) or 'none'}"


def _outcome(decision: Decision) -> str:
    if decision.outcome == "eligible":
        return NEW_STATUSES[decision.new_status or "enrolled"]
    position = f", position {decision.position}" if decision.position else ""
    return OUTCOMES.get(decision.outcome, decision.outcome) + position


def _windows(course: Course, situation: Situation, time_zone: tzinfo) -> Iterator[str]:
    for window in sorted(course.term.windows if course.term else (), key=lambda window: window.opens_at):
        times = f"{_shown(window.opens_at, time_zone)} to {_shown(window.closes_at, time_zone)}"
        yield f"{times} ({', '.join(_about_window(window, situation))})"


def _about_window(window: Window, situation: Situation) -> Iterator[str]:
    if window.group_id is None:
        yield "all students"
    else:
        yield f"group {window.group_id}" + ("" if window.group_id in situation.group_ids else ", not of this student")
    yield "not open yet" if situation.now < window.opens_at else "over" if situation.now >= window.closes_at else "open"


def _facts(facts: Mapping[str, Any], time_zone: tzinfo) -> str:
    # A sentence says the same as the other facts beside it.
    shown = {"sentence": facts["sentence"]} if "sentence" in facts else facts
    return ", ".join(f"{name}: {_shown(value, time_zone)}" for name, value in shown.items())


def _shown(value: Any, time_zone: tzinfo) -> str:
    if isinstance(value, datetime):
        moment = value
        with suppress(OverflowError):  # at the ends of the calendar, the zone would leave it
            moment = value.astimezone(time_zone)
        return moment.strftime("%Y-%m-%d %H:%M %Z")
    if isinstance(value, Mapping):
        return " ".join(_shown(item, time_zone) for item in value.values())
    if isinstance(value, str) or not isinstance(value, Sequence):
        return "none" if value is None else str(value)
    return ", ".join(_shown(item, time_zone) for item in value) or "none"
