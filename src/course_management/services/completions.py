"""What students have completed. The ledger has a line of each change, and a waiting student is looked at again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..context import RequestContext
from ..database import retried, writing
from ..errors import CatalogEntryNotFound
from ..models import CatalogEntry, Completion
from .enrollment import promote
from .reconsidering import reconsider_student
from .rule_ledger import record

FACTS = ("term_code", "grade", "points", "passed", "credits", "source")
"""What the ledger keeps of a completion."""


class Put(NamedTuple):
    """A completion as it is now, and whether it is new."""

    completion: Completion
    is_new: bool


def put(student_id: int, catalog_id: int, term_code: str, values: Mapping[str, Any], context: RequestContext) -> Put:
    """Record that a student completed an entry in a term, and promote the student if that lets it.

    `values` are `grade`, `points`, `passed`, `credits`, `source`; they take the place of those of this entry and term.
    Raises `StudentNotFound`, `CatalogEntryNotFound`.
    """
    result, course_ids = _put((student_id, catalog_id, term_code), values, context)
    promote(course_ids, context)
    return result


@retried(repeatable=True)
def _put(key: tuple[int, int, str], values: Mapping[str, Any], context: RequestContext) -> tuple[Put, list[int]]:
    student_id, catalog_id, term_code = key
    with writing() as session:
        # Before the courses, as a change of the entry does, which looks again at its courses.
        if session.get(CatalogEntry, catalog_id, with_for_update={"read": True, "key_share": True}) is None:
            raise CatalogEntryNotFound
        course_ids = reconsider_student(session, student_id)
        completion = session.get(Completion, key)
        is_new = completion is None
        if completion is None:
            completion = Completion(student_id=student_id, catalog_id=catalog_id, term_code=term_code)
            session.add(completion)
        before = None if is_new else [getattr(completion, name) for name in FACTS]
        for name, value in values.items():
            setattr(completion, name, value)
        if before != [getattr(completion, name) for name in FACTS]:
            session.flush()
            _record(context, session, completion, "added" if is_new else "changed")
        return Put(completion, is_new), course_ids


def remove(student_id: int, catalog_id: int, term_code: str, context: RequestContext) -> None:
    """Delete a completion; doing so again changes nothing. Raises `StudentNotFound`."""
    promote(_remove((student_id, catalog_id, term_code), context), context)


@retried(repeatable=True)
def _remove(key: tuple[int, int, str], context: RequestContext) -> list[int]:
    with writing() as session:
        course_ids = reconsider_student(session, key[0])
        completion = session.get(Completion, key)
        if completion is not None:
            session.delete(completion)
            _record(context, session, completion, "removed")
        return course_ids


def _record(context: RequestContext, session: Any, completion: Completion, change: str) -> None:
    facts = {name: getattr(completion, name) for name in FACTS}
    record(session, context, completion.student_id, ("completion", completion.catalog_id), change, facts)
