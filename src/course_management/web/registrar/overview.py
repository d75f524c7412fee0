"""The page with which registrars start the day: the present terms, what is full, and what needs attention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Response

from ...access.policy import PageAccess
from ...access.visitors import Visitor
from ...database.types import MAX_ID, utcnow
from ...maintenance import verification_runs
from ...repositories import imports as import_repository
from ...repositories import overview
from ...services.enrollment import due_courses
from ..moments import zone
from ..pages import AppPages, render
from ..texts import N_, _, ngettext
from . import health
from .course_list import SHOW
from .imports import states

pages = AppPages("registrar", area=N_("Registrar"))
IMPORTS_SHOWN = 3
NOT_VERIFIED_FOR = timedelta(days=2)
"""Time without a verification after which it is worth attention: the background work verifies daily."""
ENDED = {"planned", "applied"}
"""States of imports that are not going on."""
DEADLINES = {
    "drop_until": N_("End of dropping"),
    "withdraw_until": N_("End of withdrawing"),
    "promote_until": N_("End of the waitlists"),
}


@dataclass(frozen=True, slots=True)
class PresentTerm:
    """A term that is not over."""

    row: Any
    counts: Any
    """The numbers of courses; None without any."""
    opens_at: datetime | None
    """When the next window opens, unless one is open."""
    closes_at: datetime | None
    """When the last of the windows that are open closes; None if none is."""
    has_windows: bool
    deadline: tuple[str, datetime] | None
    """The next deadline: its name and time."""


@dataclass(frozen=True, slots=True)
class Attention:
    """Something that needs attention: a sentence, and the page about it."""

    sentence: str
    path: str


@pages.show("/registrar", PageAccess(scope="students:read"), link=N_("Overview"))
def show_overview(visitor: Visitor) -> Response:
    """Show the present terms, and what needs attention."""
    terms, counts = _present_terms()
    may_see_health = visitor.may(health.READ_ACCESS)
    due = due_courses()
    imports = import_repository.newest(MAX_ID, IMPORTS_SHOWN) if may_see_health else []
    result = verification_runs.last_result() if may_see_health else None
    attention = [*_about_terms(terms)]
    if may_see_health:
        attention += [*_about_verification(result), *_about_imports(imports)]
    return render(
        "registrar/overview.html",
        terms=terms,
        nearly_full=_(SHOW["nearly_full"]),
        without_term=counts.get(None),
        attention=attention,
        may_see_health=may_see_health,
        due_count=len(due),
        imports=imports,
        states=states(),
        result=result,
    )


def _present_terms() -> tuple[Sequence[PresentTerm], Mapping[int | None, Any]]:
    now = utcnow()
    rows = overview.terms_not_over(now.astimezone(zone()).date())
    ids = [row.id for row in rows]
    windows, counts = overview.windows_of(ids), overview.course_counts(ids)
    terms = []
    for row in rows:
        open_now = [window.closes_at for window in windows[row.id] if window.opens_at <= now < window.closes_at]
        later = [window.opens_at for window in windows[row.id] if now < window.opens_at]
        deadlines = [(at, _(text)) for name, text in DEADLINES.items() if (at := getattr(row, name)) and at > now]
        terms.append(
            PresentTerm(
                row,
                counts.get(row.id),
                opens_at=min(later) if later and not open_now else None,
                closes_at=max(open_now, default=None),
                has_windows=bool(windows[row.id]),
                deadline=next(((text, at) for at, text in sorted(deadlines)), None),
            )
        )
    return terms, counts


def _about_terms(terms: Sequence[PresentTerm]) -> Iterator[Attention]:
    for term in terms:
        path, code = f"/registrar/terms/{term.row.id}", term.row.code
        if not term.has_windows:
            yield Attention(_("%(term)s has no registration window, so nobody can register.", term=code), path)
        if term.counts and term.counts.passed_over:
            sentence = ngettext(
                "In %(term)s, rules stop the promotion of %(num)s student from a waitlist.",
                "In %(term)s, rules stop the promotion of %(num)s students from waitlists.",
                term.counts.passed_over,
                term=code,
            )
            yield Attention(sentence, f"/registrar/courses?term_id={term.row.id}&show=waiting&sort=waiting")


def _about_verification(result: verification_runs.StoredResult | None) -> Iterator[Attention]:
    path = "/registrar/health"
    if result and result.broken:
        sentence = ngettext(
            "%(num)s guarantee about the data is broken.",
            "%(num)s guarantees about the data are broken.",
            len(result.broken),
        )
        yield Attention(sentence, path)
    elif result and result.error:
        yield Attention(_("The last verification of the data could not be finished."), path)
    if result and utcnow() - result.ended_at > NOT_VERIFIED_FOR:
        yield Attention(_("The data was not verified for two days. Does the background work run?"), path)


def _about_imports(imports: Sequence[Any]) -> Iterator[Attention]:
    for row in imports[:1]:
        path = f"/registrar/imports/{row.id}"
        refused = sum(
            count for (_kind, outcome), count in import_repository.counts(row.id).items() if outcome == "refuse"
        )
        if row.state not in ENDED:
            yield Attention(_("Import %(id)s is going on, or was interrupted.", id=row.id), path)
        elif refused:
            sentence = ngettext(
                "Import %(id)s refuses %(num)s row.", "Import %(id)s refuses %(num)s rows.", refused, id=row.id
            )
            yield Attention(sentence, path)
