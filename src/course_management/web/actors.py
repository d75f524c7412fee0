"""Who has changed something, in words: the names of people, and what does the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..repositories import actors as repository
from .texts import N_, _

ROLES = {
    "registrar": N_("%(name)s (registrar)"),
    "advisor": N_("%(name)s (advisor)"),
    "instructor": N_("%(name)s (instructor)"),
    "student": N_("%(name)s (student)"),
    "service": N_("%(name)s (program)"),
    "import": N_("Import %(name)s"),
}
OTHERS = {
    "promotion": N_("Promotion from the waitlist"),
    "retention": N_("Deletion of old data"),
    "anonymous": N_("Without sign-in"),
    "database": N_("Directly in the database"),
}


def actors_in_words(actors: Iterable[str | None]) -> Mapping[str, str]:
    """Return each of these actors in words; one statement reads the names. People who were deleted are role and id."""
    present = {actor for actor in actors if actor is not None}
    names = repository.names_by_actor(present)
    return {actor: _in_words(actor, names) for actor in present}


def _in_words(actor: str, names: Mapping[str, str]) -> str:
    role, _colon, number = actor.partition(":")
    if actor in names:
        return _(ROLES[role], name=names[actor]) if role in ROLES else names[actor]
    if role in {"service", "import"}:
        return _(ROLES[role], name=number)
    return _(OTHERS[actor]) if actor in OTHERS else actor
