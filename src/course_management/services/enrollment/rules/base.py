"""What a rule of registration is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import Select

from ....errors import ErrorCode, Reason
from ..situation import Action, Course, Situation

Facts = Mapping[str, Any]
JOINING = frozenset[Action]({"enroll", "waitlist", "promote"})
"""What a student does to get into a course."""


class RuleGuide(NamedTuple):
    """What the tables of `docs/rules.md` say about a rule beside its code, its meaning, and when it applies."""

    section: str
    """The heading of that page that explains the rule, as links write it."""
    resolution: str
    """What the staff can do, other than granting a permission."""
    data: str
    """The data that the rule needs."""
    facts: Mapping[str, str] = {}
    """What each fact of a reason means, by its name."""


class Rule(ErrorCode):
    """One rule: when it applies, and one function that says what stands against a course.

    Its code, title, meaning, remedy and `example` (the facts of one reason) make its page,
    `/problems/<code-with-dashes>`, and its part of the OpenAPI document. A rule looks at the situation only: it reads
    no database and no clock, and counts no other students (a count that others change at the same time must be a
    counter in the statement that enrolls, as the seats are).
    """

    applies_to: ClassVar[frozenset[Action]]
    is_waivable: ClassVar[bool] = True
    """Whether a permission for the student, the course and this code waives it."""
    needs_term: ClassVar[bool] = True
    """Whether it applies only to courses that have a term."""
    questions: ClassVar[Mapping[str, Select[Any]]] = {}
    """What else the rule needs to know: queries by name, whose rows are in `situation.answers`; see `loading.py`.

    A request that is only about open courses without a term does not ask them, unless it is decided under locks."""
    guide: ClassVar[RuleGuide | None] = None
    """Rules of this package have one; those of a school have no row in the tables."""

    def against(self, course: Course, situation: Situation) -> Iterable[Facts]:
        """Yield the facts of each reason against the course; nothing if the rule is satisfied."""
        raise NotImplementedError

    def reasons(self, course: Course, situation: Situation) -> list[Reason]:
        """Return the reasons of this rule against the course, none where it does not apply or is waived."""
        if course.action not in self.applies_to or (self.needs_term and course.term is None):
            return []
        if self.is_waivable and (course.id, self.code) in situation.permissions:
            return []
        return [RuleReason(self, facts) for facts in self.against(course, situation)]


class RuleReason(Reason):
    """A reason of a rule: its code and sentence, with the facts of this course."""

    def __init__(self, rule: Rule, facts: Facts) -> None:
        super().__init__(**facts)
        self.rule = rule
        self.code = rule.code  # type: ignore[misc]
        self.meaning = rule.meaning  # type: ignore[misc]
