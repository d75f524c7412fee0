"""Prerequisites and sections as the course explorer of the University of Illinois has them.

Prerequisites: one per row, OR within a group, AND across groups; entries are named by their code. Sections: a CRN
becomes a course, its subject and number a catalog entry, and each row with days and times some meetings. A file of
sections does not say its term: the option `term` does, and meetings last as long as the term.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from .. import kinds
from ..findings import FileRefused
from ..records import Reader, Record
from ..tables import Row
from .base import Codes, Files, Format, shape

PREREQUISITE_COLUMNS = {
    "catalog": "coursename",
    "requires": "prereqname",
    "group_number": "prereqgroupnum",
    "concurrent_allowed": "concurrentallowed",
}
SHAPES = (
    shape("prerequisites", "coursename prereqname prereqgroupnum", columns="concurrentallowed"),
    shape(
        "sections",
        "subject number crn section",
        columns="name credithours partofterm sectioncredithours sectionstatus enrollmentstatus type typecode starttime "
        "endtime daysofweek room building year term yearterm description degreeattributes scheduleinformation "
        "sectiontitle sectioninfo sectionnotes sectiondaterange roombuilding instructors",
    ),
)
WEEKDAYS = {letter: str(weekday) for weekday, letter in enumerate("MTWRFSU", 1)}
ARRANGED = {"", "ARRANGED", "ARR"}
_HOURS = re.compile(r"(\d+(?:\.\d+)?)(?: (TO|OR) (\d+(?:\.\d+)?))? hours?\.?", re.IGNORECASE)


def _records(files: Files) -> Iterator[Record]:
    for row, reader in files.rows("prerequisites"):
        if record := reader.record(kinds.PREREQUISITE_KIND, row, PREREQUISITE_COLUMNS):
            yield record
    if "sections" in files:
        yield from _sections(files)


def _sections(files: Files) -> Iterator[Record]:
    if files.options.term is None:
        file = files.tables["sections"][0].source.name
        detail = "The file does not say in which term its sections are. Create the term, and name it: --term CODE."
        raise FileRefused(file, "term_missing", detail)
    codes = Codes((_code(row), row.get("crn")) for row, _ in files.rows("sections", quiet=True))
    entries: set[str] = set()
    courses: set[str] = set()
    for row, reader in files.rows("sections"):
        entry, course = _entry(row), row.get("crn")
        if entry not in entries:
            entries.add(entry)
            if record := _catalog_entry(reader, row):
                yield record
        if course not in courses:
            courses.add(course)
            if record := _course(reader, row, codes.of(_code(row), row_id=course), files.options.term):
                yield record
        yield from _meetings(reader, row)


def _entry(row: Row) -> str:
    return f"{row.get('subject')} {row.get('number')}"


def _code(row: Row) -> str:
    return f"{_entry(row)} {row.get('section')}".strip()


def _title(row: Row) -> str:
    return html.unescape(row.get("name")) or _entry(row)


def _catalog_entry(reader: Reader, row: Row) -> Record | None:
    hours = _hours(reader, row, "credithours")
    if hours is None:
        return None
    texts = {"external_id": _entry(row), "code": _entry(row), "title": _title(row)}
    return reader.record(kinds.CATALOG_KIND, row, {}, texts | hours)


def _course(reader: Reader, row: Row, code: str, term: str) -> Record | None:
    hours = _hours(reader, row, "sectioncredithours" if row.get("sectioncredithours") else "credithours", quiet=True)
    if hours is None:
        return None
    is_closed = row.get("enrollmentstatus").casefold() == "closed"
    texts = {
        "code": code,
        "title": _title(row),
        "term": term,
        "catalog": _entry(row),
        "closed": "true" if is_closed else "false",
    }
    return reader.record(kinds.COURSE_KIND, row, {"external_id": "crn", "component": "typecode"}, texts | hours)


def _hours(reader: Reader, row: Row, key: str, *, quiet: bool = False) -> dict[str, str] | None:
    """Return the credits of `4 hours`, `1 TO 4 hours.` or `3 OR 4 hours.`; None for another text, which is reported."""
    text = row.get(key)
    match = _HOURS.fullmatch(text)
    column = reader.names.get(key, key)
    if match is None:
        if not quiet:
            detail = f"{text!r}: Must be as 4 hours, 1 TO 4 hours or 3 OR 4 hours."
            reader.refuse(row, column, "validation_failed", detail)
        return None
    least, word, most = match.groups()
    if not quiet and word and word.upper() == "OR":
        detail = f"{text!r} was read as {least} to {most}: students can also choose what is between."
        reader.warn(row, column, "credits_between", detail)
    return {"credits": least, "credits_max": most or ""}


def _meetings(reader: Reader, row: Row) -> Iterator[Record]:
    days = row.get("daysofweek")
    if row.get("starttime").upper() in ARRANGED or not days:
        if days:
            detail = f"The row has days ({days}) and no time, so no meeting is imported."
            reader.warn(row, "Start Time", "meeting_without_time", detail)
        return
    place = " ".join(text for text in (row.get("room"), row.get("building")) if text.upper() not in ARRANGED)
    columns = {"course": "crn", "starts": "starttime", "ends": "endtime"}
    for day in days:
        if day not in WEEKDAYS:
            detail = f"{day!r} in {days!r} is no day. Days are {', '.join(WEEKDAYS)} from Monday to Sunday."
            reader.refuse(row, "Days of Week", "validation_failed", detail)
        elif record := reader.record(kinds.MEETING_KIND, row, columns, {"weekday": WEEKDAYS[day], "place": place}):
            yield record


UIUC = Format("course explorer", SHAPES, _records)
