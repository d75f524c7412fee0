"""Why a form was refused: said once above the page, and beside the fields that it is about.

The page that has the form is shown again, with what was entered. `pages.act` keeps the refusal of the request, and the
layout and the form look for it here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from flask import g
from werkzeug.datastructures import MultiDict

from ..errors import Conflict, PreconditionFailed, Problem, StudentNotFound, ValidationFailed
from .remedies import remedy_of
from .texts import N_, _

Entered = MultiDict[str, str]
"""What a form has sent."""
REFUSED = (Conflict, ValidationFailed, PreconditionFailed, StudentNotFound)
"""What a form is shown again for."""
STALE = N_(
    "Somebody has changed this after you opened the form, so nothing was saved. Below is what you entered. Open the "
    "form again to see what is stored now."
)


class FieldError(NamedTuple):
    """What is wrong about a field: the id of the element, a sentence. The id is empty if it is about no field."""

    id: str
    sentence: str


class PageForm(Protocol):
    """A form of a page, as `act` and the layout use it."""

    def read(self, entered: Entered) -> Any:
        """Return what was entered as services take it. Raises `ValidationFailed`."""

    def errors(self, entered: Entered, problem: Problem) -> Sequence[FieldError]:
        """Return what is wrong about its fields, in their order."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The refusal of a form: what was entered, why, and the path of the page that has the form."""

    form: PageForm
    entered: Entered
    problem: Problem
    path: str

    @property
    def errors(self) -> Sequence[FieldError]:
        """What is wrong about the fields."""
        return self.form.errors(self.entered, self.problem)

    @property
    def is_stale(self) -> bool:
        """Whether it was refused because what it changes has changed."""
        return isinstance(self.problem, PreconditionFailed)

    @property
    def detail(self) -> str:
        """Why nothing was saved, where the errors of the fields do not say it."""
        if self.is_stale:
            return _(STALE)
        if isinstance(self.problem, ValidationFailed) or self.errors:
            return _("Nothing was saved. Correct what is marked below:")
        return f"{_(self.problem.detail)} {remedy_of(self.problem.code)}".strip()


def set_refusal(refusal: Refusal) -> None:
    """Say that the form of this request is refused: the page gets the status, and says why."""
    g.refusal = refusal


def current_refusal() -> Refusal | None:
    """Return the refusal of this request; None if nothing was refused."""
    refusal: Refusal | None = g.get("refusal")
    return refusal


def refusal_of(form: PageForm) -> Refusal | None:
    """Return the refusal of this form; a page may have several forms."""
    refusal = current_refusal()
    return refusal if refusal and refusal.form == form else None
