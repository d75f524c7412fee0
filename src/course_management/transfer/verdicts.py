"""What becomes of a row of an import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..errors import Problem
from ..services.enrollment import Decision
from .staging import Staged, Unit

CREATE, UPDATE, UNCHANGED, REFUSE, WARNING = "create", "update", "unchanged", "refuse", "warning"
NOT_ENROLLED = "not_enrolled"
"""The code of a row that drops a student who is not in the course, perhaps because a killed call has done it."""
ENROLL, WAITLIST, DROP = "enroll", "waitlist", "drop"
OUTCOMES = (CREATE, UPDATE, UNCHANGED, ENROLL, WAITLIST, DROP, REFUSE, WARNING)
CHANGES = frozenset({CREATE, UPDATE, ENROLL, WAITLIST, DROP})


class Verdict(NamedTuple):
    """What becomes of a row: an outcome, and the code and sentence of a refusal or a note."""

    number: int
    outcome: str
    code: str | None = None
    detail: str | None = None


def refused(row: Staged, problem: Problem) -> Verdict:
    """Return the verdict of a refusal of a service."""
    errors = problem.members.get("errors") or ()
    sentences = [f"{error['pointer'].removeprefix('/')}: {error['detail']}" for error in errors]
    return Verdict(row.number, REFUSE, problem.code, " ".join(sentences) or problem.detail)


def of_outcome(row: Staged, outcome: str | None, decision: Decision, raised: int | None = None) -> Verdict:
    """Return the verdict of what was done, with what the rules would have said; `raised`: to this capacity."""
    if raised is not None and outcome == "enrolled":
        return Verdict(row.number, ENROLL, "capacity_raised", f"The capacity was raised to {raised}.")
    sentences = [note.describe() for note in decision.notes]
    if outcome == "credits_changed":
        sentences.insert(0, credits_changed(row))
    code = decision.notes[0].code if decision.notes else None
    return Verdict(row.number, _OUTCOMES.get(outcome, UNCHANGED), code, " ".join(sentences) or None)


def credits_changed(row: Staged) -> str:
    """Return what a row says that changes the credits of an enrollment."""
    return f"credits: -> {row.values['credits']}."


def of_decision(row: Staged, decision: Decision) -> Verdict:
    """Return the verdict of a decision that refuses the row, or that finds nothing to change."""
    if not decision.reasons:
        return Verdict(row.number, UNCHANGED)
    sentences = " ".join(reason.describe() for reason in decision.reasons)
    return Verdict(row.number, REFUSE, decision.reasons[0].code, sentences)


_OUTCOMES: Mapping[str | None, str] = {
    "enrolled": ENROLL,
    "waitlisted": WAITLIST,
    "credits_changed": UPDATE,
    **dict.fromkeys(("unenrolled", "left_waitlist", "withdrawn"), DROP),
}
"""By the outcomes of the enrollment services."""


def not_found(row: Staged, name: str, value: object, context: str = "") -> Verdict:
    """Return the verdict of a row that names what does not exist, or was refused."""
    code = {"catalog": "catalog_entry_not_found"}.get(name, f"{name}_not_found")
    noun = {"catalog": "catalog entry"}.get(name, name)
    detail = f"There is no {noun} {value!r} {context}in the database, and no row of the files that can be used has it."
    return Verdict(row.number, REFUSE, code, detail)


def without_repetitions(
    unit: Unit, wins: Callable[[Staged], bool] = lambda _: False
) -> tuple[list[Staged], list[Verdict]]:
    """Return the rows of a unit that are about different things, and verdicts about the others.

    Of rows that say the same, the first counts. Of rows that contradict each other the one that `wins`; if there is not
    exactly one, none.
    """
    unrepeated: list[Staged] = []
    verdicts: list[Verdict] = []
    by_part: dict[str | None, list[Staged]] = {}
    for row in unit:
        by_part.setdefault(row.part, []).append(row)
    for rows in by_part.values():
        different: list[Staged] = []
        for row in rows:
            same = next((other for other in different if _says(other) == _says(row)), None)
            if same is None:
                different.append(row)
            else:
                detail = f"The row says the same as line {same.line} of {same.file}."
                verdicts.append(Verdict(row.number, UNCHANGED, "duplicate_row", detail))
        winners = different if len(different) == 1 else [row for row in different if wins(row)]
        if len(winners) == 1:
            unrepeated += winners
            losers, outcome = [row for row in different if row is not winners[0]], UNCHANGED
        else:
            losers, outcome = different, REFUSE
        lines = ", ".join(f"line {row.line} of {row.file}" for row in different)
        detail = f"These rows contradict each other: {lines}."
        verdicts += [Verdict(row.number, outcome, "contradicting_row", detail) for row in losers]
    return unrepeated, verdicts


def _says(row: Staged) -> tuple[Any, ...]:
    return row.values, row.is_removed
