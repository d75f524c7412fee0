"""OneRoster 1.1 and 1.2 (CSV), and Microsoft School Data Sync v2.1, which has fewer columns of the same names.

A class becomes a course, a course becomes a catalog entry, a session becomes a term. Who is a student and who is staff
follows from the roles of users, of `roles.csv` and of the enrollments; one user may be both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .. import kinds
from ..findings import FileRefused
from ..records import Record
from ..tables import Row
from . import schools
from .base import Codes, Files, Format, shape
from .sourced_people import GONE, enrollments, users

_STATUS = "status datelastmodified datalastmodified"
OTHERS = "others"
"""Files of OneRoster that no record comes from, such as grades."""
SHAPES = (
    shape("manifest", "propertyName value"),
    shape(
        "academicSessions",
        "sourcedId title type startDate endDate",
        columns=f"{_STATUS} parentsourcedid schoolyear",
    ),
    shape("orgs", "sourcedId name type"),
    shape(
        "courses",
        "sourcedId title courseCode",
        "sourcedId title code",
        columns=f"{_STATUS} schoolyearsourcedid grades grade orgsourcedid subjects subject subjectcodes",
    ),
    shape(
        "classes",
        "sourcedId title courseSourcedId",
        columns=f"{_STATUS} grades grade classcode code classtype location schoolsourcedid orgsourcedid termsourcedids "
        "sessionsourcedids subjects subjectcodes periods",
    ),
    shape(
        "users",
        "sourcedId givenName familyName",
        columns=f"{_STATUS} enableduser orgsourcedids orgs orgsourcedid role username userids middlename identifier "
        "email sms phone agentsourcedids agents grades password usermasteridentifier preferredgivenname "
        "preferredmiddlename preferredfamilyname primaryorgsourcedid pronouns activedirectorymatchid",
    ),
    shape(
        "roles",
        "userSourcedId role orgSourcedId",
        columns=f"{_STATUS} sourcedid roletype begindate enddate userprofilesourcedid sessionsourcedid grade isprimary "
        "rolestartdate roleenddate",
    ),
    shape(
        "enrollments",
        "classSourcedId userSourcedId role",
        columns=f"{_STATUS} sourcedid schoolsourcedid primary begindate enddate",
    ),
    shape("demographics", "sourcedid birthdate sex"),
    shape(OTHERS, "sourcedId dateLastModified"),
)
USED = ("academicSessions", "courses", "classes", "users", "roles", "enrollments")
TERM_TYPES = {"term", "semester", "trimester", "quarter"}


@dataclass(slots=True)
class Classes:
    """What is known of the classes: which sessions and courses they point at, and which are of another school."""

    sessions: set[str] = field(default_factory=set)
    courses: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)


def _records(files: Files) -> Iterator[Record]:
    _check_manifest(files)
    schools.check(files)
    known = Classes()
    for row, _ in files.rows("classes", quiet=True):
        if schools.is_elsewhere(files, row):
            known.elsewhere.add(row.get("sourcedid"))
        else:
            known.sessions.update(_sessions(row)[:1])
            known.courses.add(row.get("coursesourcedid"))
    yield from _terms(files, known)
    yield from _catalog(files, known)
    yield from _courses(files, known)
    yield from users(files, known.elsewhere)
    yield from enrollments(files, known.elsewhere)


def _check_manifest(files: Files) -> None:
    """Raise `FileRefused` if the manifest names a file that is missing: half an export must not be imported."""
    for name, value in files.values("manifest", "propertyname", "value"):
        of = name.removeprefix("file.")
        if of in USED and value.casefold() in {"bulk", "delta"} and of not in files:
            file = files.tables["manifest"][0].source.name
            detail = f"The manifest says that there is {of}.csv ({value}), but it is missing. Export it again."
            raise FileRefused(file, "file_missing", detail)


def _is_gone(row: Row) -> bool:
    """Return whether the row says that it is no longer true."""
    return row.get("status").casefold() in GONE


def _sessions(row: Row) -> list[str]:
    session_ids = (row.get("termsourcedids") or row.get("sessionsourcedids")).split(",")
    return [session_id.strip() for session_id in session_ids if session_id]


def _terms(files: Files, known: Classes) -> Iterator[Record]:
    """Yield terms, and school years and grading periods that a class points at."""

    def title(row: Row) -> str:
        year, text = row.get("schoolyear"), row.get("title")
        return text if not year or year in text else f"{year} {text}"

    codes = Codes((title(row), row.get("sourcedid")) for row, _ in files.rows("academicSessions", quiet=True))
    columns = {"external_id": "sourcedid", "title": "title", "starts_on": "startdate", "ends_on": "enddate"}
    for row, reader in files.rows("academicSessions"):
        if row.get("type").casefold() in TERM_TYPES or row.get("sourcedid") in known.sessions:
            texts = {"code": row.get("metadata.code") or codes.of(title(row), row_id=row.get("sourcedid"))}
            is_removed = _is_gone(row) and row.get("sourcedid") not in known.sessions
            if record := reader.record(kinds.TERM_KIND, row, columns, texts, is_removed=is_removed):
                yield record


def _code(row: Row) -> str:
    return row.get("coursecode") or row.get("code")


def _is_without_entry(row: Row) -> bool:
    """Return whether our own export says that the course has no catalog entry, which OneRoster requires."""
    return row.get("metadata.catalogentry") == "false"


def _catalog(files: Files, known: Classes) -> Iterator[Record]:
    codes = Codes((_code(row), row.get("sourcedid")) for row, _ in files.rows("courses", quiet=True))
    for row, reader in files.rows("courses"):
        if _is_without_entry(row):
            continue
        own = row.get("sourcedid")
        if own not in known.courses and schools.is_elsewhere(files, row):
            reader.warn(row, None, "other_school", "The course is of another school, and is left out.")
            continue
        code = codes.of(_code(row), row_id=own)
        texts = {"code": code, "title": row.get("title") or code}
        columns, is_removed, new = {"external_id": "sourcedid"}, _is_gone(row), {"credits": 0}
        if record := reader.record(kinds.CATALOG_KIND, row, columns, texts, is_removed=is_removed, when_new=new):
            yield record


def _courses(files: Files, known: Classes) -> Iterator[Record]:
    subjects = {row.get("sourcedid"): _code(row) for row, _ in files.rows("courses", quiet=True)}

    def code(row: Row) -> str:
        return row.get("classcode") or row.get("code")

    codes = Codes(
        ("".join(_sessions(row)[:1]), code(row), row.get("sourcedid")) for row, _ in files.rows("classes", quiet=True)
    )
    for row, reader in files.rows("classes"):
        own, subject, sessions = row.get("sourcedid"), row.get("coursesourcedid"), _sessions(row)
        if own in known.elsewhere:
            reader.warn(row, None, "other_school", "The class is of another school, and is left out.")
            continue
        if len(sessions) > 1:
            detail = f"The class is in several terms, and is imported into the first: {sessions[0]}."
            reader.warn(row, None, "several_terms", detail)
        term = sessions[0] if sessions else ""
        if code(row):
            course_code = codes.of(term, code(row), row_id=own)
        else:
            course_code = codes.of(term, "-".join(filter(None, [subjects.get(subject), own])), row_id=own)
        texts = {"code": course_code, "title": row.get("title") or course_code, "term": term}
        if _is_without_entry(row):
            pass
        elif subject in subjects:
            texts["catalog"] = subject
        elif subject:
            detail = f"The course {subject!r} is not in the files, so the class gets no catalog entry."
            reader.warn(row, None, "catalog_entry_not_found", detail)
        if record := reader.record(
            kinds.COURSE_KIND, row, {"external_id": "sourcedid"}, texts, is_removed=_is_gone(row)
        ):
            yield record


ONEROSTER = Format("OneRoster", SHAPES, _records, frozenset({"status"}), has_schools=True)
"""Complete files leave `status` blank, but have the column; School Data Sync has none."""
SDS = Format("Microsoft School Data Sync", SHAPES, _records, has_schools=True)
