"""Reasons as people read them: the sentences of the API, and the facts behind each in words."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ErrorCode, all_codes
from ..repositories.course_lookup import codes_of
from ..services.prerequisite_sentence import sentence
from .moments import in_words, weekday
from .remedies import remedy_of
from .texts import N_, _

Facts = Mapping[str, Any]
Codes = Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Explained:
    """One reason: its code and title, the sentence of the API, the facts as sentences, and what can be done."""

    code: str
    title: str
    detail: str
    facts: Sequence[str]
    remedy: str


@dataclass(frozen=True, slots=True)
class ExplainedDecision:
    """The decision about one course, with its code; None if the course does not exist."""

    course_id: int
    course: str | None
    outcome: str
    reasons: Sequence[Explained]


OUTCOMES = {
    "refused": N_("Not possible"),
    "eligible": N_("Possible"),
    "already_enrolled": N_("Already enrolled"),
    "already_waitlisted": N_("Already on the waitlist"),
    "not_enrolled": N_("Not enrolled"),
}


def explain(decisions: Iterable[Facts]) -> list[ExplainedDecision]:
    """Return decisions (as responses of the API have them) in words. One query for the codes of all courses."""
    decisions = list(decisions)
    ids = {each["course_id"] for each in decisions}
    for each in decisions:
        for reason in each["reasons"]:
            ids.update(_courses_in(reason))
    codes = codes_of(ids)
    return [
        ExplainedDecision(
            course_id=each["course_id"],
            course=codes.get(each["course_id"]),
            outcome=_(OUTCOMES[each["outcome"]]),
            reasons=[explained(reason, codes) for reason in each["reasons"]],
        )
        for each in decisions
    ]


def explained(reason: Facts, codes: Codes) -> Explained:
    """Return one reason in words."""
    code = str(reason["code"])
    describe = FACTS.get(code, _unknown_facts)
    found = _all_codes().get(code)
    title = _(found.title if found else code)
    return Explained(code, title, _(reason["detail"]), [*describe(reason, codes)], remedy_of(code))


STATUSES = {
    "enrolled": N_("enrolled"),
    "waitlisted": N_("on the waitlist"),
    "unenrolled": N_("not enrolled"),
    "withdrawn": N_("withdrawn"),
}


def status_in_words(status: str | None) -> str:
    """Return the status of an enrollment; a student without an enrollment is not enrolled."""
    return _(STATUSES[status or "unenrolled"])


def title_of(code: str) -> str:
    """Return the title of a code."""
    found = _all_codes().get(code)
    return _(found.title) if found else code


@functools.cache
def _all_codes() -> Mapping[str, type[ErrorCode]]:
    return all_codes()


def _courses_in(value: Any) -> Iterator[int]:
    """Yield the ids of courses among the facts of a reason."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            if name == "course_id":
                yield each
            elif name == "course_ids":
                yield from each
            elif name == "groups":  # of courses, unless they are prerequisites
                yield from (course_id for group in each for course_id in group if isinstance(course_id, int))
            elif name == "with":
                for meeting in each:
                    yield from _courses_in(meeting)


def _named(course_ids: Iterable[int], codes: Codes) -> str:
    return ", ".join(codes.get(each, str(each)) for each in course_ids)


def _course_full(facts: Facts, _codes: Codes) -> Iterator[str]:
    yield _("The course has %(capacity)s seats.", capacity=facts["capacity"])
    if facts["waitlist_open"]:
        yield _("The waitlist takes students.")
    else:
        yield _("The waitlist takes no more students.")


def _waitlist_full(facts: Facts, _codes: Codes) -> Iterator[str]:
    yield _("The waitlist has %(places)s places.", places=facts["waitlist_capacity"])


def _hold(facts: Facts, _codes: Codes) -> Iterator[str]:
    yield _("Hold: %(kinds)s. Contact: %(contact)s.", kinds=", ".join(facts["kinds"]), contact=facts["contact"])


def _registration_closed(facts: Facts, _codes: Codes) -> Iterator[str]:
    if facts.get("opens_at"):
        yield _("Your registration for %(term)s opens: %(at)s.", term=facts["term"], at=in_words(facts["opens_at"]))
    elif facts.get("closes_at"):
        yield _("Your registration for %(term)s closed: %(at)s.", term=facts["term"], at=in_words(facts["closes_at"]))
    else:
        yield _("You have no registration window for %(term)s. Ask the registrar.", term=facts["term"])


def _closed_at(facts: Facts, _codes: Codes) -> Iterator[str]:
    if facts.get("closed_at"):
        yield _("Closed: %(at)s.", at=in_words(facts["closed_at"]))


def _restricted(facts: Facts, _codes: Codes) -> Iterator[str]:
    if facts["admits"]:
        yield _("For students of %(kind)s: %(codes)s.", kind=facts["kind"], codes=", ".join(facts["admits"]))
    if facts["excludes"]:
        yield _("Not for students of %(kind)s: %(codes)s.", kind=facts["kind"], codes=", ".join(facts["excludes"]))


def _prerequisite_missing(facts: Facts, _codes: Codes) -> Iterator[str]:
    if missing := sentence(facts["groups"], _):
        yield _("Missing: %(prerequisites)s.", prerequisites=missing)


def _already_completed(facts: Facts, _codes: Codes) -> Iterator[str]:
    yield _("Completed: %(count)s. Allowed: %(allowed)s.", count=facts["completions"], allowed=facts["allowed"])


def _other_course(facts: Facts, codes: Codes) -> Iterator[str]:
    yield _("You have: %(courses)s.", courses=_named(facts["course_ids"], codes))


def _linked(facts: Facts, codes: Codes) -> Iterator[str]:
    for group in facts["groups"]:
        yield _("Take one of these with it: %(courses)s.", courses=_named(group, codes))


def _needed(facts: Facts, codes: Codes) -> Iterator[str]:
    yield _("Needed by: %(courses)s. Drop both, or swap this one.", courses=_named(facts["course_ids"], codes))


def _time_conflict(facts: Facts, codes: Codes) -> Iterator[str]:
    for each in facts["with"]:
        yield _(
            "%(course)s meets on %(weekday)s, %(starts)s to %(ends)s.",
            course=codes.get(each["course_id"], each["course_id"]),
            weekday=weekday(each["weekday"]),
            starts=each["starts"],
            ends=each["ends"],
        )


def _credit_limit(facts: Facts, _codes: Codes) -> Iterator[str]:
    yield _(
        "Your limit: %(limit)s credits. You have %(held)s, and this asks for %(asked)s.",
        limit=facts["limit"],
        held=facts["held"],
        asked=facts["asked"],
    )


def _credits_not_offered(facts: Facts, _codes: Codes) -> Iterator[str]:
    yield _("From %(least)s to %(most)s credits.", least=facts["least"], most=facts["most"])


def _unknown_facts(facts: Facts, _codes: Codes) -> Iterator[str]:
    """Describe the facts of a rule that only one school has: their names and values."""
    for name, value in facts.items():
        if name not in {"code", "detail"} and value not in (None, [], {}):
            yield f"{name.replace('_', ' ')}: {value}"


FACTS: Mapping[str, Callable[[Facts, Codes], Iterator[str]]] = {
    "course_full": _course_full,
    "waitlist_full": _waitlist_full,
    "hold": _hold,
    "registration_closed": _registration_closed,
    "course_closed": _closed_at,
    "waitlist_closed": _closed_at,
    "drop_closed": _closed_at,
    "restricted": _restricted,
    "prerequisite_missing": _prerequisite_missing,
    "already_completed": _already_completed,
    "other_course_of_entry_held": _other_course,
    "linked_course_missing": _linked,
    "needed_by_course": _needed,
    "time_conflict": _time_conflict,
    "credit_limit_exceeded": _credit_limit,
    "credits_not_offered": _credits_not_offered,
}
"""How to say the facts of each code. A code that is not here has none, or belongs to a rule of the school."""
