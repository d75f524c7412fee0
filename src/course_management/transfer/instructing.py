"""Say which people teach the courses of an import; who teaches them already, stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import Problem
from ..repositories import imports as repository
from ..services import whole_lists
from ..services.courses import INSTRUCTORS
from . import kinds, staging
from .handlers import Handler
from .references import PLANNED, References
from .staging import Staged, Unit
from .verdicts import CREATE, DROP, REFUSE, UNCHANGED, Verdict, not_found, refused, without_repetitions

ATTEMPTS = 5


class _ChangedMeanwhile(Exception):
    """Somebody else has changed the list since it was read."""


@dataclass(slots=True)
class InstructorHandler(Handler):
    """Adds instructors to courses, and removes those that the file says are gone."""

    import_id: int
    kind: kinds.Kind = kinds.INSTRUCTORS
    _courses: Mapping[str, int] = field(default_factory=dict)
    _people: Mapping[str, int] = field(default_factory=dict)
    _present: Mapping[int, set[int]] = field(default_factory=dict)

    def load(self, units: Sequence[Unit]) -> None:
        """Read the courses, the people, and who teaches what."""
        rows = [row for unit in units for row in unit]
        found = References(self.import_id)
        self._courses = found.ids("course", {row.unit for row in rows})
        self._people = found.ids("person", staging.values_of(rows, "person"))
        self._present = repository.instructors_of([each for each in self._courses.values() if each != PLANNED])

    def decide(self, unit: Unit) -> list[Verdict]:
        """Return a verdict for each row. Of contradicting rows, the one that is not removed wins."""
        kept, verdicts = without_repetitions(unit, lambda row: not row.is_removed)
        return [*verdicts, *map(self._decide, kept)]

    def _decide(self, row: Staged) -> Verdict:
        course, person = self._courses.get(row.unit), self._people.get(str(row.values["person"]))
        if course is None:
            return not_found(row, "course", row.unit)
        is_present = person in self._present.get(course, ())
        if row.is_removed:
            return Verdict(row.number, DROP if is_present else UNCHANGED)
        if person is None:
            return not_found(row, "person", row.values["person"])
        return Verdict(row.number, UNCHANGED if is_present else CREATE)

    def write(self, unit: Unit, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Put the list of the course, unless somebody else changes it meanwhile: then again."""
        course_id = self._courses.get(unit[0].unit, PLANNED)
        rows = {row.number: row for row in unit}
        done: list[Verdict] = []
        added, removed = set[int](), set[int]()
        for each in verdicts:
            person = self._people.get(str(rows[each.number].values["person"]), PLANNED)
            if each.outcome == CREATE and PLANNED in (course_id, person):
                detail = "The course or the person was refused."
                done.append(Verdict(each.number, REFUSE, "reference_refused", detail))
                continue
            done.append(each)
            if each.outcome == CREATE:
                added.add(person)
            elif each.outcome == DROP:
                removed.add(person)
        if not (added or removed):
            return done
        try:
            self._put(course_id, added, removed)
        except Problem as problem:
            return [refused(rows[each.number], problem) if each.outcome in (CREATE, DROP) else each for each in done]
        return done

    def _put(self, course_id: int, added: set[int], removed: set[int]) -> None:
        for attempt in range(ATTEMPTS):
            (present,) = repository.instructors_of([course_id]).values()

            def unchanged(rows: Sequence[tuple[int]], expected: set[int] = present) -> None:
                if {person_id for (person_id,) in rows} != expected:
                    raise _ChangedMeanwhile

            try:
                whole_lists.replace(INSTRUCTORS, course_id, sorted((present | added) - removed), unchanged)
            except _ChangedMeanwhile:
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                return
