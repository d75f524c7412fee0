"""Canvas SIS CSV. A section becomes a course, since students enroll in sections.

What Canvas calls a course gives the title and the term. Deleted enrollments unenroll, completed ones change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .. import kinds
from ..records import Reader, Record
from ..tables import Row
from .base import Codes, Files, Format, shape

SHAPES = (
    shape(
        "enrollments",
        "section_id user_id role",
        "course_id user_id role",
        "section_id user_id role_id",
        columns="root_account_id start_date end_date status associated_user_id limit_section_privileges notify "
        "course_id section_id user_id role role_id temporary_enrollment_source_user_id user_integration_id",
    ),
    shape(
        "sections",
        "section_id course_id name",
        columns="integrationid status startdate enddate",
    ),
    shape(
        "courses",
        "course_id short_name long_name",
        columns="integrationid accountid termid status startdate enddate courseformat blueprintcourseid gradepassback"
        "setting homeroomcourse friendlyname",
    ),
    shape("terms", "term_id name status", columns="integrationid dateoverrideenrollmenttype startdate enddate"),
    shape(
        "users",
        "user_id login_id status",
        columns="integrationid password ssha hash authenticationproviderid firstname lastname fullname sortablename "
        "shortname email pronouns declaredusertype canvaspasswordnotification homeaccount",
    ),
    shape("accounts", "account_id parent_account_id name"),
)
STUDENT, STAFF = {"student"}, {"teacher", "ta", "designer"}
STATUS = {
    "active": "enrolled",
    "deleted": "unenrolled",
    "inactive": "unenrolled",
    "completed": "completed",
    "deletedlastcompleted": "unenrolled",
}


@dataclass(frozen=True, slots=True)
class _Course:
    """What a course of Canvas says about its sections."""

    title: str
    term: str
    is_removed: bool


def _records(files: Files) -> Iterator[Record]:
    yield from _terms(files)
    yield from _sections(files)
    yield from _users(files)
    yield from _enrollments(files)


def _terms(files: Files) -> Iterator[Record]:
    """Yield the terms of their file, then those that only courses name.

    Dates that they lack are those of their courses, from the first to the last.
    """
    dates: dict[str, list[str]] = {}
    for row, reader in files.rows("courses", quiet=True):
        if term := row.get("termid"):
            days = dates.setdefault(term, ["", ""])
            columns = {"starts_on": "startdate", "ends_on": "enddate"}
            texts = {"external_id": term, "code": term, "title": term}
            if dated := reader.record(kinds.TERM_KIND, row, columns, texts):
                starts, ends = str(dated.values["starts_on"]), str(dated.values["ends_on"])
                days[:] = min(days[0] or starts, starts), max(days[1], ends)
    seen = set()
    columns = {"external_id": "termid", "code": "termid", "title": "name"}
    for row, reader in files.rows("terms"):
        seen.add(row.get("termid"))
        starts, ends = dates.get(row.get("termid"), ["", ""])
        texts = {"starts_on": row.get("startdate") or starts, "ends_on": row.get("enddate") or ends}
        if record := _term(reader, row, columns, texts):
            yield record
    for row, reader in files.rows("courses", quiet=True):
        term = row.get("termid")
        if term and term not in seen:
            seen.add(term)
            starts, ends = dates[term]
            if "terms" in files and not (starts and ends):
                continue  # an earlier import may have created it
            loud = Reader(files.options.report, files.options.zone, reader.names)
            texts = {"code": term, "title": term, "starts_on": starts, "ends_on": ends}
            if record := _term(loud, row, {"external_id": "termid"}, texts):
                yield record


def _term(reader: Reader, row: Row, columns: Mapping[str, str], texts: Mapping[str, str]) -> Record | None:
    if not (texts["starts_on"] and texts["ends_on"]):
        detail = (
            f"No course of the term {row.get('termid')!r} has both dates, and no terms.csv says when it is, so its "
            "courses cannot be imported. Add terms.csv with the columns term_id, name, status, start_date and end_date."
        )
        reader.refuse(row, "term_id", "term_has_no_dates", detail)
        return None
    return reader.record(kinds.TERM_KIND, row, columns, texts)


def _sections(files: Files) -> Iterator[Record]:
    courses: dict[str, _Course] = {}
    for row, reader in files.rows("courses"):
        title = row.get("longname") or row.get("shortname")
        removed = row.get("status").casefold() == "deleted"
        courses[row.get("courseid")] = _Course(title, row.get("termid"), removed)
        for name in ("startdate", "enddate"):  # warnings about their form
            if row.get(name):
                reader.check(kinds.TERM_KIND, row, {"starts_on": name})
    if "courses" not in files:
        for row, reader in files.rows("sections"):
            columns = {"external_id": "sectionid", "title": "name", "code": "sectionid"}
            if record := reader.record(kinds.COURSE_KIND, row, columns, is_removed=_is_deleted(row)):
                yield record
        return
    codes = Codes(
        (courses[course].term, name, section)
        for course, name, section in files.values("sections", "courseid", "name", "sectionid")
        if course in courses
    )
    for row, reader in files.rows("sections"):
        course = courses.get(row.get("courseid"))
        if course is None:
            detail = f"The course {row.get('courseid')!r} is not in the files."
            reader.refuse(row, "course_id", "course_not_found", detail)
            continue
        section = row.get("sectionid")
        texts = {
            "code": codes.of(course.term, row.get("name"), row_id=section),
            "title": course.title or row.get("name"),
            "term": course.term,
        }
        is_removed = course.is_removed or _is_deleted(row)
        if record := reader.record(kinds.COURSE_KIND, row, {"external_id": "sectionid"}, texts, is_removed=is_removed):
            yield record


def _users(files: Files) -> Iterator[Record]:
    if "users" not in files:
        return
    students: set[str] = set()
    staff: set[str] = set()
    for user, role in files.values("enrollments", "userid", "role"):
        if role.casefold() in STUDENT:
            students.add(user)
        elif role.casefold() in STAFF:
            staff.add(user)
    for row, reader in files.rows("users"):
        user = row.get("userid")
        name = row.get("fullname") or " ".join(filter(None, [row.get("firstname"), row.get("lastname")]))
        texts = {"name": name or row.get("loginid")}
        columns = {"external_id": "userid", "email": "email"}
        declared = row.get("declaredusertype").casefold()
        is_student = user in students or declared == "student"
        if is_student and (
            record := reader.record(kinds.STUDENT_KIND, row, columns, texts, is_removed=_is_deleted(row))
        ):
            yield record
        if user in staff or (declared in STAFF and not is_student):
            columns |= {"given_name": "firstname", "family_name": "lastname"}
            own = {"student": user} if is_student else {}
            if record := reader.record(kinds.PERSON_KIND, row, columns, texts | own, is_removed=_is_deleted(row)):
                yield record
        elif not is_student:
            reader.warn(row, None, "no_role", "The user has no enrollment and no role, and is left out.")


def _enrollments(files: Files) -> Iterator[Record]:
    sections: dict[str, list[str]] = {}
    for section, course in files.values("sections", "sectionid", "courseid"):
        sections.setdefault(course, []).append(section)
    for row, reader in files.rows("enrollments"):
        section, role = row.get("sectionid"), row.get("role").casefold()
        if not section:
            of_course = sections.get(row.get("courseid"), [])
            if len(of_course) != 1:
                detail = f"The row names no section, and the course {row.get('courseid')!r} has {len(of_course)}."
                reader.refuse(row, "section_id", "value_missing", detail)
                continue
            section = of_course[0]
        status = STATUS.get(row.get("status").casefold().replace("_", "") or "active")
        if status is None:
            detail = f"{row.get('status')!r} is not a status of Canvas."
            reader.refuse(row, "status", "validation_failed", detail)
        elif role in STUDENT:
            texts = {"course": section, "status": status}
            if record := reader.record(kinds.ENROLLMENT_KIND, row, {"student": "userid"}, texts):
                yield record
        elif role in STAFF:
            removed = status == "unenrolled"
            columns = {"person": "userid"}
            if record := reader.record(kinds.INSTRUCTOR_KIND, row, columns, {"course": section}, is_removed=removed):
                yield record
        else:
            reader.warn(row, "role", "role_ignored", f"Rows of the role {row.get('role')!r} are left out.")


def _is_deleted(row: Row) -> bool:
    return row.get("status").casefold() == "deleted"


CANVAS = Format("Canvas SIS CSV", SHAPES, _records, frozenset({"status"}))
