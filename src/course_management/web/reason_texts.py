"""What the pages say about each reason against a course, beside its title and its sentence: one entry per code.

A rule of this service needs an entry; `tests/web/test_reasons.py` looks for it. A rule of a school has none: its facts
are shown by their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..services.prerequisite_sentence import sentence
from .moments import in_words, weekday
from .subjects import path_about
from .texts import N_, _, reader

Facts = Mapping[str, Any]
CodeById = Mapping[int, str]
"""The codes of the courses that facts name."""


class StaffPage(NamedTuple):
    """A page below `/app`, and its name."""

    path: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonText:
    """What the pages say about the reasons of one code."""

    remedy: str
    """What a person can do about it."""
    facts: Callable[[Facts, CodeById], Iterable[str]]
    """Returns the facts of a reason as sentences."""
    resolved_on: Callable[[int, Any], StaffPage] | None
    """Returns the page where the staff resolves it, for a student's id and a course; None: no page does that."""
    to_student: str | None = None
    """The sentence of the reason as it is said to the student, if it names the student."""


def text_of(code: str) -> ReasonText:
    """Return the entry of a code; without one, an entry that says nothing but the names and values of the facts."""
    return REASON_TEXTS.get(code, UNKNOWN)


def staff_page(code: str, student_id: int, course: Any) -> StaffPage | None:
    """Return where the staff resolves a reason of this code against a student and a course; None if no page does."""
    resolved_on = text_of(code).resolved_on
    return resolved_on(student_id, course) if resolved_on else None


# --- where the staff resolves it --------------------------------------------------------------------------


def _about_student(path: str, label: str) -> Callable[[int, Any], StaffPage]:
    """Return a page about the student; `label` is its name in the navigation."""
    return lambda student_id, _course: StaffPage(path_about(student_id, path), _(label))


def _course_page(_student_id: int, course: Any) -> StaffPage:
    return StaffPage(f"/registrar/courses/{course.id}", course.code)


def _term_page(_student_id: int, course: Any) -> StaffPage:
    return StaffPage(f"/registrar/terms/{course.term_id}", course.term)


# --- facts as sentences -----------------------------------------------------------------------------------


def _by_reader(to_student: str, of_student: str, **values: Any) -> str:
    """Return the one text to the student, and the other one to the staff."""
    return _(to_student if reader().is_student else of_student, **values)


def _codes_of(course_ids: Iterable[int], code_by_id: CodeById) -> str:
    return ", ".join(code_by_id.get(course_id, str(course_id)) for course_id in course_ids)


def _no_facts(_facts: Facts, _code_by_id: CodeById) -> Iterator[str]:
    yield from ()


def _facts_by_name(facts: Facts, _code_by_id: CodeById) -> Iterator[str]:
    for name, value in facts.items():
        if name not in {"code", "detail"} and value not in (None, [], {}):
            yield f"{name.replace('_', ' ')}: {value}"


def _course_full(facts: Facts, _code_by_id: CodeById) -> Iterator[str]:
    yield _("The course has %(capacity)s seats.", capacity=facts["capacity"])
    if facts["waitlist_open"]:
        yield _("The waitlist takes students.")
    else:
        yield _("The waitlist takes no more students.")


def _waitlist_full(facts: Facts, _code_by_id: CodeById) -> Iterator[str]:
    yield _("The waitlist has %(places)s places.", places=facts["waitlist_capacity"])


def _hold(facts: Facts, _code_by_id: CodeById) -> Iterator[str]:
    yield _("Hold: %(kinds)s. Contact: %(contact)s.", kinds=", ".join(facts["kinds"]), contact=facts["contact"])


def _registration_closed(facts: Facts, _code_by_id: CodeById) -> Iterator[str]:
    if facts.get("opens_at"):
        yield _by_reader(
            N_("Your registration for %(term)s opens: %(at)s."),
            N_("The registration of the student for %(term)s opens: %(at)s."),
            term=facts["term"],
            at=in_words(facts["opens_at"]),
        )
    elif facts.get("closes_at"):
        yield _by_reader(
            N_("Your registration for %(term)s closed: %(at)s."),
            N_("The registration of the student for %(term)s closed: %(at)s."),
            term=facts["term"],
            at=in_words(facts["closes_at"]),
        )
    else:
        yield _by_reader(
            N_("You have no registration window for %(term)s. Ask the registrar."),
            N_("The student has no registration window for %(term)s."),
            term=facts["term"],
        )


def _closed_at(facts: Facts, _code_by_id: CodeById) -> Iterator[str]:
    if facts.get("closed_at"):
        yield _("Closed: %(at)s.", at=in_words(facts["closed_at"]))


def _restricted(facts: Facts, _code_by_id: CodeById) -> Iterator[str]:
    if facts["admits"]:
        yield _("For students of %(kind)s: %(codes)s.", kind=facts["kind"], codes=", ".join(facts["admits"]))
    if facts["excludes"]:
        yield _("Not for students of %(kind)s: %(codes)s.", kind=facts["kind"], codes=", ".join(facts["excludes"]))


def _prerequisite_missing(facts: Facts, _code_by_id: CodeById) -> Iterator[str]:
    if missing := sentence(facts["groups"], _):
        yield _("Missing: %(prerequisites)s.", prerequisites=missing)


def _already_completed(facts: Facts, _code_by_id: CodeById) -> Iterator[str]:
    yield _("Completed: %(count)s. Allowed: %(allowed)s.", count=facts["completions"], allowed=facts["allowed"])


def _other_course_of_entry_held(facts: Facts, code_by_id: CodeById) -> Iterator[str]:
    courses = _codes_of(facts["course_ids"], code_by_id)
    yield _by_reader(N_("You have: %(courses)s."), N_("The student has: %(courses)s."), courses=courses)


def _linked_course_missing(facts: Facts, code_by_id: CodeById) -> Iterator[str]:
    for course_ids in facts["groups"]:
        yield _("Take one of these with it: %(courses)s.", courses=_codes_of(course_ids, code_by_id))


def _needed_by_course(facts: Facts, code_by_id: CodeById) -> Iterator[str]:
    courses = _codes_of(facts["course_ids"], code_by_id)
    yield _("Needed by: %(courses)s. Drop both, or swap this one.", courses=courses)


def _time_conflict(facts: Facts, code_by_id: CodeById) -> Iterator[str]:
    for meeting in facts["with"]:
        yield _(
            "%(course)s meets on %(weekday)s, %(starts)s to %(ends)s.",
            course=_codes_of([meeting["course_id"]], code_by_id),
            weekday=weekday(meeting["weekday"]),
            starts=meeting["starts"],
            ends=meeting["ends"],
        )


def _credit_limit_exceeded(facts: Facts, _code_by_id: CodeById) -> Iterator[str]:
    yield _by_reader(
        N_("Your limit: %(limit)s credits. You have %(held)s, and this asks for %(asked)s."),
        N_("The limit: %(limit)s credits. The student has %(held)s, and this asks for %(asked)s."),
        limit=facts["limit"],
        held=facts["held"],
        asked=facts["asked"],
    )


def _credits_not_offered(facts: Facts, _code_by_id: CodeById) -> Iterator[str]:
    yield _("From %(least)s to %(most)s credits.", least=facts["least"], most=facts["most"])


# --- the entries ------------------------------------------------------------------------------------------

UNKNOWN = ReasonText(remedy="", facts=_facts_by_name, resolved_on=None)
REASON_TEXTS: Mapping[str, ReasonText] = {
    "hold": ReasonText(
        remedy=N_("Contact the office that is named: it can release the hold."),
        facts=_hold,
        resolved_on=_about_student("/holds", N_("Holds")),
        to_student=N_("A hold blocks this for you."),
    ),
    "registration_closed": ReasonText(
        remedy=N_("Come back while the registration window is open."),
        facts=_registration_closed,
        resolved_on=None,
        to_student=N_("No registration window of the term is open for you."),
    ),
    "course_closed": ReasonText(
        remedy=N_("Choose another course, or ask the registrar."), facts=_closed_at, resolved_on=_course_page
    ),
    "restricted": ReasonText(
        remedy=N_("Choose another course. If the groups are not up to date, ask the registrar."),
        facts=_restricted,
        resolved_on=_about_student("", N_("Record")),
    ),
    "permission_required": ReasonText(
        remedy=N_("Ask the instructor, the advisor or the registrar for a permission."),
        facts=_no_facts,
        resolved_on=None,
        to_student=N_("The course requires a permission, and you have none."),
    ),
    "prerequisite_missing": ReasonText(
        remedy=N_("Complete what is missing first, or ask the instructor for a permission."),
        facts=_prerequisite_missing,
        resolved_on=_about_student("/completions", N_("Completions")),
        to_student=N_("You do not have the prerequisites of the course."),
    ),
    "already_completed": ReasonText(
        remedy=N_("Choose another course. The registrar or an advisor can permit a repetition."),
        facts=_already_completed,
        resolved_on=_about_student("/completions", N_("Completions")),
        to_student=N_("You have completed the catalog entry as often as it can be completed."),
    ),
    "other_course_of_entry_held": ReasonText(
        remedy=N_("Swap the courses: open this one, and choose Swap."),
        facts=_other_course_of_entry_held,
        resolved_on=_about_student("/my-courses", N_("Courses")),
        to_student=N_("You take another course of the same catalog entry in the term."),
    ),
    "linked_course_missing": ReasonText(
        remedy=N_("Add both courses to the plan, and submit it."),
        facts=_linked_course_missing,
        resolved_on=_about_student("/my-courses", N_("Courses")),
    ),
    "time_conflict": ReasonText(
        remedy=N_("Choose another section or course, or swap."),
        facts=_time_conflict,
        resolved_on=_about_student("/timetable", N_("Timetable")),
        to_student=N_("The course meets at the same time as another course of yours."),
    ),
    "credit_limit_exceeded": ReasonText(
        remedy=N_("Choose fewer courses or credits, or ask the registrar for a higher limit."),
        facts=_credit_limit_exceeded,
        resolved_on=_about_student("/limits", N_("Credit limits")),
        to_student=N_("You would take more credits in the term than the limit allows."),
    ),
    "credits_not_offered": ReasonText(
        remedy=N_("Choose a number of credits that the course offers."),
        facts=_credits_not_offered,
        resolved_on=_about_student("/my-courses", N_("Courses")),
    ),
    "waitlist_closed": ReasonText(
        remedy=N_("Choose a course with free seats, or ask the registrar."), facts=_closed_at, resolved_on=_term_page
    ),
    "drop_closed": ReasonText(remedy=N_("Ask the registrar."), facts=_closed_at, resolved_on=None),
    "needed_by_course": ReasonText(
        remedy=N_("Drop the other course first, or swap this one for another section."),
        facts=_needed_by_course,
        resolved_on=None,
        to_student=N_("You have another course that must be taken together with this one."),
    ),
    "course_full": ReasonText(
        remedy=N_("Join the waitlist if there is one, or choose another course."),
        facts=_course_full,
        resolved_on=None,
    ),
    "waitlist_full": ReasonText(
        remedy=N_("Choose another course, or try again when somebody has left the waitlist."),
        facts=_waitlist_full,
        resolved_on=None,
    ),
}
