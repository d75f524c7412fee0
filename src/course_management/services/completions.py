"""What students have completed. The ledger has a line of each change, and a waiting student is looked at again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..context import RequestContext
from ..database import retried, writing
from ..errors import CatalogEntryNotFound
from ..models import CatalogEntry, Completion
from .enrollment import promote
from .passed_over_marks import reconsider_student, reconsider_students
from .rule_ledger import record

Key = tuple[int, int, str]
"""The ids of the student and of the catalog entry, and the code of the term."""
FACTS = ("term_code", "grade", "points", "passed", "credits", "source")
"""What the ledger keeps of a completion."""


class StoredCompletion(NamedTuple):
    """A completion as it is now, and whether it is new."""

    completion: Completion
    is_new: bool


def put(
    student_id: int, catalog_id: int, term_code: str, values: Mapping[str, Any], context: RequestContext
) -> StoredCompletion:
    """Record that a student completed an entry in a term, and promote the student if that lets it.

    `values` are `grade`, `points`, `passed`, `credits`, `source`; they take the place of those of this entry and term.
    Raises `StudentNotFound`, `CatalogEntryNotFound`.
    """
    result, course_ids = _put((student_id, catalog_id, term_code), values, context)
    promote(course_ids, context)
    return result


@retried(repeatable=True)
def _put(key: Key, values: Mapping[str, Any], context: RequestContext) -> tuple[StoredCompletion, list[int]]:
    student_id, catalog_id, _ = key
    with writing() as session:
        # Before the courses, as a change of the entry does, which looks again at its courses.
        if session.get(CatalogEntry, catalog_id, with_for_update={"read": True, "key_share": True}) is None:
            raise CatalogEntryNotFound
        course_ids = reconsider_student(session, student_id)
        result = _set(session, session.get(Completion, key), key, values, context)
        session.flush()
        return result, course_ids


def put_all(completions: Mapping[Key, Mapping[str, Any]], context: RequestContext) -> None:
    """Do the same for completions of several students, all in one transaction or none.

    Its locks are held until the commit, so callers give it few students at a time.
    """
    promote(_put_all(completions, context), context)


@retried(repeatable=True)
def _put_all(values_by_key: Mapping[Key, Mapping[str, Any]], context: RequestContext) -> list[int]:
    student_ids = {student_id for student_id, _, _ in values_by_key}
    catalog_ids = {catalog_id for _, catalog_id, _ in values_by_key}
    in_order = select(CatalogEntry.id).where(CatalogEntry.id.in_(catalog_ids)).order_by(CatalogEntry.id)
    with writing() as session:
        if {*session.scalars(in_order.with_for_update(read=True, key_share=True))} != catalog_ids:
            raise CatalogEntryNotFound
        course_ids = reconsider_students(session, sorted(student_ids))
        of_students = session.scalars(select(Completion).where(Completion.student_id.in_(student_ids)))
        present = {(each.student_id, each.catalog_id, each.term_code): each for each in of_students}
        for key, values in values_by_key.items():
            _set(session, present.get(key), key, values, context)
        return course_ids


def _set(
    session: Session, completion: Completion | None, key: Key, values: Mapping[str, Any], context: RequestContext
) -> StoredCompletion:
    """Create or change a completion, and record that in the ledger. The student is locked."""
    before = None if completion is None else [getattr(completion, name) for name in FACTS]
    if completion is None:
        student_id, catalog_id, term_code = key
        completion = Completion(student_id=student_id, catalog_id=catalog_id, term_code=term_code)
        session.add(completion)
    for name, value in values.items():
        setattr(completion, name, value)
    if before != [getattr(completion, name) for name in FACTS]:
        _record(context, session, completion, "added" if before is None else "changed")
    return StoredCompletion(completion, before is None)


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
