"""A registrar with the tables on paper: every rule as docs/rules.md words it, by enumeration, without cleverness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]
HELD = {"enrolled", "waitlisted"}
JOINING = {"enroll", "waitlist", "promote"}
"""What a student can be about to do in a course; also `unenroll` and `change_credits`."""
WAIVABLE = {
    "registration_closed",
    "course_closed",
    "restricted",
    "permission_required",
    "prerequisite_missing",
    "already_completed",
    "other_course_of_entry_held",
    "linked_course_missing",
    "time_conflict",
    "drop_closed",
}
CODES = {
    *WAIVABLE,
    "hold",
    "credit_limit_exceeded",
    "credits_not_offered",
    "waitlist_closed",
    "needed_by_course",
    "course_full",
    "waitlist_full",
}


@dataclass
class Registrar:
    """Judges what one student plans: an action for each course, and the credits that the student chooses."""

    tables: Tables
    student: int
    now: datetime
    chosen_credits: Mapping[int, Decimal] = field(default_factory=dict)
    actions: dict[int, str] = field(default_factory=dict)

    # --- what the tables say ---------------------------------------------------------------------------------

    def rows(self, table: str, **values: Any) -> list[Row]:
        """Return the rows of a table with these values."""
        return [row for row in self.tables[table] if all(row[name] == value for name, value in values.items())]

    def row(self, table: str, number: int) -> Row:
        """Return the row of a table with this id."""
        (found,) = self.rows(table, id=number)
        return found

    def status(self, course: int) -> str | None:
        """Return the status of the student in a course."""
        found = self.rows("student_courses", student_id=self.student, course_id=course)
        return found[0]["status"] if found else None

    def term(self, course: int) -> Row | None:
        """Return the term of a course."""
        number = self.row("courses", course)["term_id"]
        return None if number is None else self.row("terms", number)

    def groups(self) -> set[int]:
        """Return the groups that the student is in."""
        return {row["group_id"] for row in self.rows("student_groups", student_id=self.student)}

    def count(self, course: int, status: str) -> int:
        """Return the number of students with a status in a course."""
        return len(self.rows("student_courses", course_id=course, status=status))

    def has_free_seat(self, course: int) -> bool:
        """Return whether a seat is not taken."""
        capacity = self.row("courses", course)["capacity"]
        return capacity is None or self.count(course, "enrolled") < capacity

    def is_open(self, course: int) -> bool:
        """Return whether a seat is free, and not reserved: all students on the waitlist were passed over."""
        waiting = self.rows("student_courses", course_id=course, status="waitlisted")
        return self.has_free_seat(course) and all(row["passed_over_at"] is not None for row in waiting)

    def has_room(self, course: int) -> bool:
        """Return whether the waitlist takes one more student."""
        places = self.row("courses", course)["waitlist_capacity"]
        return places is None or self.count(course, "waitlisted") < places

    # --- what is planned -------------------------------------------------------------------------------------

    def plan(self, enrolling: Sequence[int], leaving: Sequence[int], *, waitlist: bool, replacing: bool) -> None:
        """Plan an action for each course in which something has to change. Only a replacement changes credits."""
        for course in leaving:
            if self.status(course) in HELD:
                self.actions[course] = "unenroll"
        for course in enrolling:
            if self.status(course) == "enrolled":
                held = self.credits_held(course)
                if replacing and self.chosen_credits.get(course, held) != held:
                    self.actions[course] = "change_credits"
            elif self.status(course) != "waitlisted":
                self.actions[course] = "waitlist" if waitlist and not self.is_open(course) else "enroll"

    def credits_held(self, course: int) -> Decimal:
        """Return what the enrollment in a course counts."""
        (row,) = self.rows("student_courses", student_id=self.student, course_id=course)
        return row["credits"] or Decimal()

    def credits_wanted(self, course: int) -> Decimal:
        """Return for what credits the student would take a course: as asked, or the least."""
        return self.chosen_credits.get(course, self.row("courses", course)["credits"] or Decimal())

    def taken(self, *statuses: str) -> set[int]:
        """Return the courses of terms in which the student has one of these statuses if all goes as planned."""
        planned = {"enroll": "enrolled", "promote": "enrolled", "waitlist": "waitlisted", "unenroll": None}
        found = set()
        for row in self.tables["courses"]:
            now = self.status(row["id"])
            then = planned.get(self.actions.get(row["id"], ""), now)
            if row["term_id"] is not None and then in statuses:
                found.add(row["id"])
        return found

    def waived(self, course: int) -> set[str]:
        """Return the codes of the rules that a live permission waives."""
        rows = self.rows("permissions", student_id=self.student, course_id=course, revoked_at=None)
        return {row["rule"] for row in rows if row["expires_at"] is None or row["expires_at"] > self.now}

    # --- the rules -------------------------------------------------------------------------------------------

    def against(self, course: int) -> set[str]:
        """Return the codes of all reasons against what is planned for a course."""
        action = self.actions.get(course)
        if action is None:
            return set()
        waived = self.waived(course)
        found = {*self._closed(course, action), *self._not_offered(course, action)}
        if self.term(course) is not None:
            found |= {*self._of_student(course, action), *self._of_course(course, action)}
            found |= {*self._of_catalog(course, action), *self._of_others(course, action)}
            found |= {*self._of_credits(course, action)}
        return {*(found - (waived & WAIVABLE)), *self._full(course, action)}

    def _closed(self, course: int, action: str) -> Iterator[str]:
        if action in JOINING and self.row("courses", course)["closed_at"] is not None:
            yield "course_closed"

    def _of_student(self, course: int, action: str) -> Iterator[str]:
        blocks = {"unenroll": {"unenroll", "both"}, "change_credits": set()}.get(action, {"enroll", "both"})
        for hold in self.rows("holds", student_id=self.student, released_at=None):
            if hold["blocks"] in blocks and (hold["until"] is None or hold["until"] > self.now):
                yield "hold"
        term = self.term(course)
        assert term is not None
        is_open = any(
            window["opens_at"] <= self.now < window["closes_at"]
            for window in self.rows("registration_windows", term_id=term["id"])
            if window["group_id"] is None or window["group_id"] in self.groups()
        )
        if action in {"enroll", "waitlist"} and not is_open:
            yield "registration_closed"
        if action in {"waitlist", "promote"} and self.now >= (term["promote_until"] or _end(term)):
            yield "waitlist_closed"
        if action == "unenroll" and self.status(course) == "enrolled" and self.leaving(course) is None:
            yield "drop_closed"

    def leaving(self, course: int) -> str | None:
        """Return the status after leaving a course in which the student is enrolled; None if it is too late."""
        term = self.term(course)
        if term is None or self.now < (term["drop_until"] or _end(term)):
            return "unenrolled"
        if term["withdraw_until"] is not None and self.now < term["withdraw_until"]:
            return "withdrawn"
        return None

    def _of_course(self, course: int, action: str) -> Iterator[str]:
        if action not in JOINING:
            return
        if self.row("courses", course)["permission_required"]:
            yield "permission_required"
        mine = self.groups()
        restrictions = self.rows("course_restrictions", course_id=course)
        kinds = {self.row("groups", row["group_id"])["kind"] for row in restrictions if row["admits"]}
        for kind in kinds:
            admitted = {
                row["group_id"]
                for row in restrictions
                if row["admits"] and self.row("groups", row["group_id"])["kind"] == kind
            }
            if not admitted & mine:
                yield "restricted"
        if any(row["group_id"] in mine for row in restrictions if not row["admits"]):
            yield "restricted"

    def _of_catalog(self, course: int, action: str) -> Iterator[str]:
        this = self.row("courses", course)
        if action not in JOINING or this["catalog_id"] is None:
            return
        entry = self.row("catalog_entries", this["catalog_id"])
        alternatives = self.rows("prerequisites", catalog_id=entry["id"])
        for number in {row["group_number"] for row in alternatives}:
            if not any(self._satisfies(row, course) for row in alternatives if row["group_number"] == number):
                yield "prerequisite_missing"
        passed = self.rows("completions", student_id=self.student, catalog_id=entry["id"], passed=True)
        if entry["completions_allowed"] is not None and len(passed) >= entry["completions_allowed"]:
            yield "already_completed"
        # Of two waitlists of the entry, the first that moves decides.
        counted = self.taken("enrolled") if action == "promote" else self.taken("enrolled", "waitlisted")
        same = [
            each
            for each in counted - {course}
            for row in self.rows("courses", id=each, **{name: this[name] for name in SAME_OF_ENTRY})
            if row
        ]
        if entry["courses_per_term"] is not None and len(same) + 1 > entry["courses_per_term"]:
            yield "other_course_of_entry_held"

    def _satisfies(self, alternative: Row, course: int) -> bool:
        if alternative["required_group_id"] is not None:
            return alternative["required_group_id"] in self.groups()
        entry, least = alternative["required_id"], alternative["minimum_points"]
        for completion in self.rows("completions", student_id=self.student, catalog_id=entry, passed=True):
            if least is None or (completion["points"] is not None and completion["points"] >= least):
                return True
        here = self.term(course)
        assert here is not None
        for each in self.taken("enrolled") - {course}:
            there = self.term(each)
            assert there is not None
            if self.row("courses", each)["catalog_id"] == entry:
                if there["id"] == here["id"] and alternative["concurrent_allowed"]:
                    return True
                if there["starts_on"] < here["starts_on"] and there["id"] != here["id"]:
                    return True
        return False

    def _of_others(self, course: int, action: str) -> Iterator[str]:
        held = self.taken("enrolled", "waitlisted")
        if action in JOINING:
            links = self.rows("course_links", course_id=course)
            for number in {row["group_number"] for row in links}:
                if not {row["linked_id"] for row in links if row["group_number"] == number} & held:
                    yield "linked_course_missing"
        if action == "unenroll":
            for other in held:
                if "linked_course_missing" in self.waived(other):
                    continue
                links = self.rows("course_links", course_id=other)
                for number in {row["group_number"] for row in links if row["linked_id"] == course}:
                    if not {row["linked_id"] for row in links if row["group_number"] == number} & held:
                        yield "needed_by_course"
        if action in {"enroll", "promote"}:
            mine = self.minutes(course)
            if any(mine & self.minutes(other) for other in self.taken("enrolled") - {course}):
                yield "time_conflict"

    def minutes(self, course: int) -> set[tuple[date, int]]:
        """Return every single minute of every day in which a course meets."""
        found = set()
        for meeting in self.rows("course_meetings", course_id=course):
            day = meeting["starts_on"]
            while day <= meeting["ends_on"]:
                if day.isoweekday() == meeting["weekday"]:
                    first, last = (_minute(meeting[name]) for name in ("starts_minute", "ends_minute"))
                    found |= {(day, minute) for minute in range(first, last)}
                day += timedelta(days=1)
        return found

    def _not_offered(self, course: int, action: str) -> Iterator[str]:
        this = self.row("courses", course)
        least = this["credits"] or Decimal()  # of a course without a term, 0
        is_offered = least <= self.credits_wanted(course) <= (this["credits_max"] or least)
        if action in {"enroll", "waitlist", "change_credits"} and not is_offered:
            yield "credits_not_offered"

    def _of_credits(self, course: int, action: str) -> Iterator[str]:
        term = self.term(course)
        assert term is not None
        if action in {"unenroll", "waitlist"} or not self.credits_wanted(course):
            return
        own = self.rows("student_terms", student_id=self.student, term_id=term["id"])
        limit = own[0]["credit_limit"] if own else term["credit_limit"]
        total = present = Decimal()
        for row in self.rows("courses", term_id=term["id"]):
            if self.status(row["id"]) == "enrolled":
                present += self.credits_held(row["id"])
        for each in self.taken("enrolled"):
            if self.row("courses", each)["term_id"] == term["id"]:
                is_planned = each in self.actions
                total += self.credits_wanted(each) if is_planned else self.credits_held(each)
        # A student who is above the limit may come down, and not go further up.
        if limit is not None and total > max(limit, present):
            yield "credit_limit_exceeded"

    def _full(self, course: int, action: str) -> Iterator[str]:
        if action == "enroll" and not self.is_open(course):
            yield "course_full"
        if action == "waitlist" and not self.has_room(course):
            yield "waitlist_full" if self.row("courses", course)["waitlist_capacity"] else "course_full"


SAME_OF_ENTRY = ("catalog_id", "component", "term_id")


def promoted(tables: Tables, course: int, now: datetime) -> tuple[list[int], dict[int, set[str]]]:
    """Return the students whom a promotion enrolls, and those whom it passes over, with the codes.

    `tables` must be that before it, without a mark on the waitlist.
    """
    registrar = Registrar(tables, 0, now)
    waiting = registrar.rows("student_courses", course_id=course, status="waitlisted")
    this = registrar.row("courses", course)
    if this["term_id"] is None and this["closed_at"] is not None:  # no student is passed over where no rules are asked
        return [], {}
    free = len(waiting) if this["capacity"] is None else this["capacity"] - registrar.count(course, "enrolled")
    seated: list[int] = []
    passed_over: dict[int, set[str]] = {}
    for row in sorted(waiting, key=lambda each: each["queue_number"]):
        if len(seated) == free:
            break
        chosen_credits = {} if row["credits"] is None else {course: row["credits"]}
        student = Registrar(tables, row["student_id"], now, chosen_credits, {course: "promote"})
        if codes := student.against(course):
            passed_over[row["student_id"]] = codes
        else:
            seated.append(row["student_id"])
    return seated, passed_over


def _end(term: Row) -> datetime:
    """Return the end of a term, for a school in UTC."""
    last: date = term["ends_on"]
    return datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
