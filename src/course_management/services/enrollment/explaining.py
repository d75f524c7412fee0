"""Explain decisions to the staff, with everything that they were based on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...context import RequestContext
from ...database import autocommit, db
from .decisions import Decision, decide
from .loading import load
from .situation import Situation


class Explanation(NamedTuple):
    """The decision about each course, and the situation of the student that the rules looked at."""

    decisions: Sequence[Decision]
    situation: Situation


def explain_all(student_id: int, course_ids: Sequence[int], *, waitlist: bool, context: RequestContext) -> Explanation:
    """Decide about enrolling in each course, and change nothing. Raises `StudentNotFound`.

    Unlike a request, it also reads the holds and groups of a student who asks only for courses without a term.
    """
    situation = load(autocommit, db.engine.dialect.name, student_id, course_ids, context.time_zone)
    return Explanation(decide(situation, course_ids, waitlist=waitlist), situation)
