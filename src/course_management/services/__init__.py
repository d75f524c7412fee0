"""Writes. A change is one transaction; after its commit, a function may promote, and read what it returns.

What belongs to one other part is written there: keys and sessions in `access`, the lease in `background`, `demo`.

A service takes ids and plain values, returns rows, and refuses by raising a problem from `errors`. It uses neither
HTTP nor Flask's request: `context` says which request and which caller a change is for.

    enrollment/                              enroll, replace, unenroll, promote: its `__init__.py` has the map
    enrollment_actions                       enrollment/, logged and counted: what the API and pages call
    permitting                               enroll, let in, and grant permissions, in one transaction
    resources, owned_lists                   what all resources, and all lists replaced as a whole, have in common
    students, courses, terms, catalog,       the resources, with their lists
    people, timetables, student_groups
    prerequisite_graph                       cycles, and entries that no student can reach
    prerequisite_sentence                    prerequisites in words
    holds, permissions, completions,         what rules read about a student
    credit_limits
    passed_over_marks, rule_ledger           what follows each change of these: promotion, a line of the ledger
    adopting                                 move courses into a term
    accounts, external_ids, imports          sign-in subjects; ids for files; imports and their rows
    plans                                    courses that students want to enroll in together
    erasure, retention                       erase a student; delete what is older than a school keeps
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import IntegrityError

from ..database import broken_constraint
from ..errors import Problem

Precondition = Callable[[Any], None]
"""Called with the rows to be changed, once they are locked; raises `PreconditionFailed` for a stale ETag."""


@contextmanager
def refusing(refusals: Mapping[str, type[Problem]]) -> Iterator[None]:
    """Turn the violation of a named constraint into the refusal it stands for; raise any other error unchanged."""
    try:
        yield
    except IntegrityError as error:
        refusal = refusals.get(broken_constraint(error))
        if refusal is None:
            raise
        raise refusal from None
