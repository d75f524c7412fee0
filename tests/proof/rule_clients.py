"""What one of the processes does that enroll by rules at the same time, and what it saw."""

from __future__ import annotations

import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from course_management.context import NamedActor, RequestContext
from course_management.database import Raced
from course_management.errors import EnrollmentRefused, Problem
from course_management.services import courses, enrollment, holds, owned_lists, permissions, resources, terms
from course_management.services.enrollment import EnrollmentRequest, rules

from ..support.limited_courses import AtMost
from .processes import application

LIMIT = 2
"""In how many of the limited courses a student can be enrolled."""
OPENS, CLOSES = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
HOLD = {"kind": "financial", "contact": "Bursar", "blocks": "enroll"}
ERRORS = 500
"""The statuses of problems that are failures of the service begin here."""
REST_S = 0.02
"""How long a rule stays as it is, so that requests of others fall into that time."""


class School(NamedTuple):
    """The ids of what the processes use; a student is in group 0 or 1 in turns.

    `limited` are courses of the first term of which a student can have `LIMIT`; the first of them need a permission,
    the next are restricted to group 0. `others` belong to the second term. `adopted` have no term in the beginning.
    """

    students: Sequence[int]
    groups: Sequence[int]
    terms: Sequence[int]
    by_permission: Sequence[int]
    restricted: Sequence[int]
    limited: Sequence[int]
    others: Sequence[int]
    adopted: Sequence[int]

    @property
    def courses(self) -> Sequence[int]:
        """All courses."""
        return [*self.limited, *self.others, *self.adopted]

    def group_of(self, student: int) -> int:
        """Return the group of a student."""
        return self.groups[self.students.index(student) % 2]


class Enrolled(NamedTuple):
    """A student got a seat or a place by a request that began and ended at these times (`time.time`)."""

    student: int
    course: int
    began: float
    ended: float


class InForce(NamedTuple):
    """A rule that stood, provably, against some students in some courses from one moment to another."""

    rule: str
    students: Sequence[int]
    courses: Sequence[int]
    since: float
    until: float

    def forbids(self, change: Enrolled) -> bool:
        """Return whether the rule stood before the request began and until it ended."""
        is_about = change.student in self.students and change.course in self.courses
        return is_about and self.since < change.began and change.ended < self.until


@dataclass(slots=True)
class Report:
    """What a process did and saw."""

    enrolled: list[Enrolled] = field(default_factory=list)
    in_force: list[InForce] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)


def permission_for(course: int) -> dict[str, Any]:
    """Return a permission for a course that needs one."""
    return {"course_id": course, "rule": "permission_required", "reason": "Knows the subject.", "expires_at": None}


def work(number: int, seed: int, seconds: float, school: School) -> Report:
    """Do the work of the process `number` for some seconds, beginning when all processes are ready."""
    rules.RULES = (*rules.RULES, AtMost(LIMIT))
    with application(number) as meet:
        client = Client(number, random.Random(seed * 100 + number), school)  # noqa: S311 - a repeatable choice
        meet()
        client.run(time.monotonic() + seconds)
    return client.report


class Client:
    """One process: it changes the rules for what is its own, and enrolls everybody in everything."""

    def __init__(self, number: int, chance: random.Random, school: School) -> None:
        self.number, self.chance, self.school = number, chance, school
        self.context = RequestContext(request_id=f"process-{number}", caller=NamedActor(f"process:{number}"))
        self.report = Report()
        self.to_adopt = list(school.adopted)

    def run(self, end: float) -> None:
        """Work until a time of `time.monotonic`."""
        # Each thing that changes has one process that changes it, which so knows what was in force.
        owned: list[Callable[[], None]] = []
        if self.number < len(self.school.students):
            owned = [self.hold, self.permit]
        elif self.number < len(self.school.students) + len(self.school.terms):
            owned = [self.close_windows]
        elif self.number == len(self.school.students) + len(self.school.terms):
            owned = [self.adopt, self.promote]
        shared = [*[self.enroll] * 5, self.enroll_in_several, self.unenroll, self.unenroll, self.replace]
        while time.monotonic() < end:
            step = self.chance.choice(owned if owned and self.chance.random() < 0.2 else shared)
            with self._expected():
                step()

    @contextmanager
    def _expected(self) -> Iterator[None]:
        """Note a refusal as a figure, and everything else that is raised as an error."""
        try:
            yield
        except Problem as problem:
            if problem.status >= ERRORS:
                self.report.errors.append(repr(problem))
            self.report.figures["refused"] += 1
        except (SQLAlchemyError, Raced) as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            self.report.errors.append(f"{type(error).__name__} in {last.name}, line {last.lineno}: {error}"[:500])

    def _student(self) -> int:
        """Choose a student; half of the requests are about two of them, so that they meet."""
        return self.chance.choice(self.school.students[: self.chance.choice([2, len(self.school.students)])])

    # --- what every process does ------------------------------------------------------------------------------

    def enroll(self) -> None:
        """Enroll a student in a course."""
        self._enroll(self._student(), [self.chance.choice(self.school.courses)])

    def enroll_in_several(self) -> None:
        """Enroll a student in several courses, in any order; one of them is limited, as the rule judges each alone."""
        others = self.chance.sample([*self.school.others, *self.school.adopted], 2)
        wanted = [self.chance.choice(self.school.limited), *others]
        self.chance.shuffle(wanted)
        self._enroll(self._student(), wanted)

    def _enroll(self, student: int, wanted: Sequence[int]) -> None:
        began = time.time()
        waitlist = self.chance.random() < 0.5
        outcomes = enrollment.enroll(EnrollmentRequest(student, wanted, waitlist=waitlist, context=self.context))
        self._note(student, [each.course_id for each in outcomes if each.outcome in {"enrolled", "waitlisted"}], began)

    def unenroll(self) -> None:
        """Unenroll a student from some courses."""
        wanted = self.chance.sample(self.school.courses, self.chance.choice([3, 10, len(self.school.courses)]))
        outcomes = enrollment.unenroll(self._student(), wanted, context=self.context)
        self.report.figures["unenrolled"] += sum(each.outcome != "not_enrolled" for each in outcomes)

    def replace(self) -> None:
        """Replace the courses of a student."""
        student, began = self._student(), time.time()
        others = self.chance.sample([*self.school.others, *self.school.adopted], self.chance.randrange(3))
        wanted = [self.chance.choice(self.school.limited), *others]
        found = enrollment.replace(EnrollmentRequest(student, wanted, waitlist=True, context=self.context))
        self.report.figures["replaced"] += 1
        self._note(student, [*found.enrolled, *found.waitlisted], began)

    def _note(self, student: int, taken: Sequence[int], began: float) -> None:
        ended = time.time()
        self.report.enrolled += [Enrolled(student, course, began, ended) for course in taken]

    # --- what one process does for what is its own ------------------------------------------------------------

    def hold(self) -> None:
        """Place a hold on its student, which must refuse its own request to enroll too, and release it."""
        student = self.school.students[self.number]
        hold = holds.place(student, HOLD, self.context)
        since = time.time()
        try:
            self._enroll(student, [self.chance.choice(self.school.limited)])
        except EnrollmentRefused as refused:
            (decision,) = refused.members["decisions"]
            if decision["outcome"] == "refused" and "hold" not in {each["code"] for each in decision["reasons"]}:
                self.report.errors.append(f"a hold is not a reason: {decision}")
        time.sleep(REST_S)
        self._in_force("hold", [student], [*self.school.limited, *self.school.others], since)
        holds.release(student, hold.id, self.context)
        self.report.figures["holds"] += 1

    def permit(self) -> None:
        """Grant its student the permission for a course, let the student use it, and revoke it."""
        student, course = self.school.students[self.number], self.chance.choice(self.school.by_permission)
        permission = permissions.grant(student, permission_for(course), self.context)
        with self._expected():
            self._enroll(student, [course])
        permissions.revoke(student, permission.id, self.context)
        since = time.time()
        time.sleep(REST_S)
        self._in_force("permission_required", [student], [course], since)
        self.report.figures["permissions"] += 1

    def close_windows(self) -> None:
        """Close the windows of its term for one group or both, and open them again."""
        index = self.number - len(self.school.students)
        term, groups = self.school.terms[index], self.school.groups
        closed = self.chance.choice([groups, groups[:1], groups[1:]])
        whole = [{"opens_at": OPENS, "closes_at": CLOSES, "group_id": group} for group in groups]
        owned_lists.replace(terms.WINDOW_LIST, term, [each for each in whole if each["group_id"] not in closed], None)
        since = time.time()
        time.sleep(REST_S)
        affected = [each for each in self.school.students if self.school.group_of(each) in closed]
        of_term = self.school.others if index else self.school.limited
        self._in_force("registration_closed", affected, of_term, since)
        owned_lists.replace(terms.WINDOW_LIST, term, whole, None)
        self.report.figures["windows"] += 1

    def adopt(self) -> None:
        """Move a course into the first term, where it needs a permission that no student has."""
        if not self.to_adopt:
            return
        course = self.to_adopt.pop()
        values = {"term_id": self.school.terms[0], "permission_required": True}
        resources.change(courses.COURSE_RESOURCE, course, values, None, self.context)
        self._in_force("permission_required", self.school.students, [course], time.time(), until=float("inf"))
        self.report.figures["adopted"] += 1

    def promote(self) -> None:
        """Promote wherever a seat is free, as the background job does."""
        self.report.figures["promoted by the job"] += enrollment.promote_all(self.context)[0]

    def _in_force(
        self, rule: str, students: Sequence[int], of: Sequence[int], since: float, until: float | None = None
    ) -> None:
        self.report.in_force.append(InForce(rule, students, of, since, until or time.time()))
