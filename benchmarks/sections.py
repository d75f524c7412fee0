"""Load the sections of a university, and compare the time conflicts that the service finds with a brute force.

The file has no dates, so all sections meet during the whole term. Dry runs of enrollments in 100 sections each find the
conflicts between all of them.
"""

from __future__ import annotations

import csv
import html
from collections.abc import Mapping
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from .client import Json, Service, create, create_open_term

DAYS = {"starts_on": "2026-05-18", "ends_on": "2026-08-07"}
WEEKDAYS = {letter: number for number, letter in enumerate("MTWRFSU", start=1)}
BLOCK = 50
"""Sections in half of a dry run: of 100, the most courses of a request."""


class Section(NamedTuple):
    """A section with a usable timetable: its title, and each day and time at which it meets, in minutes."""

    title: str
    meetings: list[tuple[int, int, int]]


def read(path: Path) -> dict[str, Section]:
    """Return the sections with a usable timetable, by their numbers: a row at least has days and times."""
    sections: dict[str, Section] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["Start Time"] == "ARRANGED" or not row["Days of Week"]:
                continue
            starts, ends = (_minutes(row[name]) for name in ("Start Time", "End Time"))
            title = html.unescape(f"{row['Subject']} {row['Number']} {row['Name']}")
            section = sections.setdefault(row["CRN"], Section(title, []))
            section.meetings.extend((WEEKDAYS[day], starts, ends) for day in row["Days of Week"])
    return sections


def _minutes(text: str) -> int:
    time = datetime.strptime(text, "%I:%M %p")  # noqa: DTZ007 - the time of a clock on a wall
    return 60 * time.hour + time.minute


def compare(service: Service, prefix: str, sections: Mapping[str, Section]) -> tuple[Json, dict[str, list[str]]]:
    """Load the sections. Return the figures, and the pairs about which the service differs from the brute force."""
    ids = _load(service, prefix, sections)
    numbers = {course_id: number for number, course_id in ids.items()}
    (student,) = create(service, "/students", {0: {"name": "Ada Lovelace"}}).values()
    blocks = [list(ids.values())[start : start + BLOCK] for start in range(0, len(ids), BLOCK)]
    requests = {(one, other): blocks[one] + blocks[other] for one, other in combinations(range(len(blocks)), 2)}

    def ask(blocks: tuple[int, int]) -> set[frozenset[str]]:
        path = f"/students/{student}/enroll?dry_run=true"
        decisions = service.request_json("POST", path, {"course_ids": requests[blocks]})["decisions"]
        return {
            frozenset((numbers[decision["course_id"]], numbers[meeting["course_id"]]))
            for decision in decisions
            for reason in decision["reasons"]
            for meeting in reason["with"]
        }

    found = set().union(*service.each("Finding conflicts", ask, requests).values())
    expected = {
        frozenset((one, other))
        for one, other in combinations(sections, 2)
        if any(
            day == other_day and starts < other_ends and other_starts < ends
            for day, starts, ends in sections[one].meetings
            for other_day, other_starts, other_ends in sections[other].meetings
        )
    }
    figures = {
        "usable timetables": len(sections),
        "weekly meetings": sum(len(section.meetings) for section in sections.values()),
        "pairs of sections": len(sections) * (len(sections) - 1) // 2,
        "conflicts": len(found),
    }
    return figures, {"wrong conflicts": sorted(" and ".join(sorted(pair)) for pair in found ^ expected)}


def _load(service: Service, prefix: str, sections: Mapping[str, Section]) -> dict[str, int]:
    """Create a term that is open, and its courses with their meetings. Return the ids of the courses."""
    term_id = create_open_term(service, prefix, DAYS)
    bodies = {n: {"code": n, "title": section.title, "term_id": term_id} for n, section in sections.items()}
    ids = create(service, "/courses", bodies)

    def meet(number: str) -> Json:
        meetings = [
            {"weekday": day, "starts": _clock(starts), "ends": _clock(ends), **DAYS}
            for day, starts, ends in dict.fromkeys(sections[number].meetings)
        ]
        return service.request_json("PUT", f"/courses/{ids[number]}/meetings", meetings)

    service.each("Putting meetings", meet, sections)
    return ids


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
