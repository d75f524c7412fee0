"""Decisions and their reasons in words: the sentences of the API, with the texts of `reason_texts`."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ErrorCode, all_codes
from ..repositories.course_lookup import course_codes
from .reason_texts import CodeById, Facts, text_of
from .texts import N_, _, reader


@dataclass(frozen=True, slots=True)
class ReasonInWords:
    """One reason: its code and title, the sentence of the API, the facts as sentences, and what can be done."""

    code: str
    title: str
    detail: str
    facts: Sequence[str]
    remedy: str


@dataclass(frozen=True, slots=True)
class DecisionInWords:
    """The decision about one course, with its code; None if the course does not exist."""

    course_id: int
    course: str | None
    outcome: str
    reasons: Sequence[ReasonInWords]


OUTCOMES = {
    "refused": N_("Not possible"),
    "eligible": N_("Possible"),
    "already_enrolled": N_("Already enrolled"),
    "already_waitlisted": N_("Already on the waitlist"),
    "not_enrolled": N_("Not enrolled"),
}


def decisions_in_words(decisions: Iterable[Mapping[str, Any]]) -> list[DecisionInWords]:
    """Return decisions (as responses of the API have them) in words. One query for the codes of all courses."""
    decisions = list(decisions)
    course_ids = {decision["course_id"] for decision in decisions}
    for decision in decisions:
        for reason in decision["reasons"]:
            course_ids.update(_courses_in(reason))
    code_by_id = course_codes(course_ids)
    return [
        DecisionInWords(
            course_id=decision["course_id"],
            course=code_by_id.get(decision["course_id"]),
            outcome=_(OUTCOMES[decision["outcome"]]),
            reasons=[reason_in_words(reason, code_by_id) for reason in decision["reasons"]],
        )
        for decision in decisions
    ]


def reason_in_words(reason: Facts, code_by_id: CodeById) -> ReasonInWords:
    """Return one reason in words."""
    code = str(reason["code"])
    text = text_of(code)
    detail = text.to_student if text.to_student and reader().is_student else reason["detail"]
    return ReasonInWords(
        code, title_of(code), _(detail), [*text.facts(reason, code_by_id)], text.remedy and _(text.remedy)
    )


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
    error = _all_codes().get(code)
    return _(error.title) if error else code


@functools.cache
def _all_codes() -> Mapping[str, type[ErrorCode]]:
    return all_codes()


def _courses_in(value: Any) -> Iterator[int]:
    """Yield the ids of courses among the facts of a reason."""
    if isinstance(value, Mapping):
        for name, fact in value.items():
            if name == "course_id":
                yield fact
            elif name == "course_ids":
                yield from fact
            elif name == "groups":  # of courses, unless they are prerequisites
                yield from (course_id for group in fact for course_id in group if isinstance(course_id, int))
            elif name == "with":
                for meeting in fact:
                    yield from _courses_in(meeting)
