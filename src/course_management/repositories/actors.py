"""Find the names of actors: the ledgers say who has changed something by role and id, such as `registrar:3`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import String, bindparam, literal, select, union_all

from ..database import autocommit
from ..database.types import IdList, among
from ..models import people, students

KINDS = {**dict.fromkeys(("registrar", "advisor", "instructor", "person"), "staff"), "student": "student"}
"""Whose name an actor has, by its role."""
_NAMES = union_all(
    *(
        select(literal(kind, String).label("kind"), table.c.id, table.c.name).where(
            among(table.c.id, bindparam(kind, type_=IdList))
        )
        for kind, table in (("staff", people), ("student", students))
    )
)


def names_by_actor(actors: Iterable[str]) -> Mapping[str, str]:
    """Return the names of those actors who are people or students that still exist."""
    keys: dict[str, tuple[str, int]] = {}
    for actor in set(actors):
        role, _, number = actor.partition(":")
        if role in KINDS and number.isascii() and number.isdigit():
            keys[actor] = KINDS[role], int(number)
    if not keys:
        return {}
    ids = {kind: sorted({id_ for of, id_ in keys.values() if of == kind}) for kind in KINDS.values()}
    names = {(row.kind, row.id): row.name for row in autocommit(_NAMES, ids)}
    return {actor: names[key] for actor, key in keys.items() if key in names}
