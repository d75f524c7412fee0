"""What one of the processes does that change the schedules of a few students at the same time."""

from __future__ import annotations

import itertools
import random
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from course_management.context import NamedActor, RequestContext
from course_management.database import Raced
from course_management.errors import Problem
from course_management.services import enrollment
from course_management.services.enrollment import EnrollmentRequest

from .processes import application
from .rule_clients import ERRORS


class Schedules(NamedTuple):
    """The ids of the students and of the courses, all of one term."""

    students: Sequence[int]
    courses: Sequence[int]


@dataclass(slots=True)
class Done:
    """What a process did and saw."""

    figures: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)


def work(number: int, seed: int, seconds: float, school: Schedules) -> Done:
    """Do the work of the process `number` for some seconds, beginning when all processes are ready."""
    with application(number) as meet:
        client = Client(number, random.Random(seed * 100 + number), school)  # noqa: S311 - a repeatable choice
        meet()
        client.run(time.monotonic() + seconds)
    return client.done


class Client:
    """One process: it enrolls, swaps, replaces and unenrolls any student in any course."""

    def __init__(self, number: int, chance: random.Random, school: Schedules) -> None:
        self.number, self.chance, self.school = number, chance, school
        self.done, self._requests = Done(), itertools.count()

    def run(self, end: float) -> None:
        """Work until a time of `time.monotonic`."""
        steps = [*[self.enroll] * 5, self.swap, self.swap, self.unenroll, self.unenroll, self.replace]
        if self.number == 0:
            steps.append(self.promote)
        while time.monotonic() < end:
            step = self.chance.choice(steps)
            try:
                step()
                self.done.figures[step.__name__] += 1
            except Problem as problem:
                if problem.status >= ERRORS:
                    self.done.errors.append(repr(problem))
                self.done.figures["refused"] += 1
            except (SQLAlchemyError, Raced) as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                self.done.errors.append(f"{type(error).__name__} in {last.name}, line {last.lineno}: {error}"[:500])

    def _context(self) -> RequestContext:
        """Return the context of a request, whose id tells its lines of the ledger from those of others."""
        return RequestContext(
            request_id=f"{self.number}-{next(self._requests)}", caller=NamedActor(f"process:{self.number}")
        )

    def _some(self, most: int) -> list[int]:
        return self.chance.sample(self.school.courses, self.chance.randint(1, most))

    def _credits(self, wanted: Sequence[int]) -> dict[int, int]:
        return {self.chance.choice(wanted): self.chance.choice([300, 400])}

    def _request(self, most: int, **values: Any) -> EnrollmentRequest:
        wanted = self._some(most)
        waitlist, student = self.chance.random() < 0.5, self.chance.choice(self.school.students)
        return EnrollmentRequest(student, wanted, waitlist=waitlist, context=self._context(), **values)

    def enroll(self) -> None:
        """Enroll a student in some courses."""
        enrollment.enroll(self._request(2))

    def swap(self) -> None:
        """Swap some courses of a student for one."""
        wanted, *left = self.chance.sample(self.school.courses, 12)
        student, context = self.chance.choice(self.school.students), self._context()
        enrollment.enroll(EnrollmentRequest(student, [wanted], instead_of=left, waitlist=True, context=context))

    def unenroll(self) -> None:
        """Unenroll a student from some courses."""
        enrollment.unenroll(self.chance.choice(self.school.students), self._some(10), context=self._context())

    def replace(self) -> None:
        """Replace the courses of a student, some of them for other credits."""
        wanted, student = self._some(4), self.chance.choice(self.school.students)
        enrollment.replace(
            EnrollmentRequest(
                student, wanted, waitlist=True, chosen_credits=self._credits(wanted), context=self._context()
            )
        )

    def promote(self) -> None:
        """Promote wherever a seat is free, as the background job does."""
        enrollment.promote_all(self._context())
