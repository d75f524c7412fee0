"""OneRoster 1.2 as a zip of CSV files, which is complete (`bulk`): terms, the catalog, courses, people, enrollments.

A course becomes a class, a catalog entry a course, a term a session. A course without a catalog entry becomes a class
of the entry with its code, or of one that is written for it. Staff who teach no course are left out: OneRoster has no
role for them that is not more than we know. Cells are not escaped for spreadsheets, which OneRoster does not know.
Columns that begin with `metadata.` are extensions of the standard, for our own import: codes of terms, whether
there is a catalog entry, and names that were split at their last space to fill two columns.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO

from sqlalchemy import Connection

from ..repositories import oneroster_rows as repository
from . import values
from .exporting import Progress, as_text, write_rows

MEDIA_TYPE = "application/zip"
NAME = "course-management"
SCHOOL = "school"
"""The id of the only organization."""
COLUMNS: Mapping[str, str] = {
    "orgs": "name type identifier parentSourcedId",
    "academicSessions": "title type startDate endDate parentSourcedId schoolYear metadata.code",
    "courses": "schoolYearSourcedId title courseCode grades orgSourcedId subjects subjectCodes metadata.catalogEntry",
    "classes": "title grades courseSourcedId classCode classType location schoolSourcedId termSourcedIds subjects "
    "subjectCodes periods metadata.catalogEntry",
    "users": "enabledUser username userIds givenName familyName middleName identifier email sms phone agentSourcedIds "
    "grades password userMasterIdentifier preferredGivenName preferredMiddleName preferredFamilyName "
    "primaryOrgSourcedId pronouns metadata.name metadata.nameIsSplit",
    "roles": "userSourcedId roleType role beginDate endDate orgSourcedId userProfileSourcedId",
    "enrollments": "classSourcedId schoolSourcedId userSourcedId role primary beginDate endDate",
}
"""The columns of each file after `sourcedId`, `status` and `dateLastModified`; the last two are empty: it is `bulk`."""
ABSENT = (
    "categories classResources courseResources demographics lineItemLearningObjectiveIds lineItems lineItemScoreScales "
    "resources resultLearningObjectiveIds results resultScoreScales scoreScales userProfiles userResources"
)
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The time of each file, so that the same rows are the same bytes."""
_Cells = Mapping[str, str]


def write_oneroster(
    file: IO[bytes], connection: Connection, _term_id: int | None = None, progress: Progress = lambda _: None
) -> int:
    """Write the archive, and return the number of the rows in it."""
    total = 0
    with zipfile.ZipFile(file, "w") as archive:
        _write(archive, "manifest", ["propertyName", "value"], _manifest())
        for name, columns in COLUMNS.items():
            header = ["sourcedId", "status", "dateLastModified", *columns.split()]
            rows = ([cells.get(column, "") for column in header] for cells in _FILES[name](connection))
            total += _write(archive, name, header, rows, progress)
    return total


def _write(
    archive: zipfile.ZipFile,
    name: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    progress: Progress = lambda _: None,
) -> int:
    member = zipfile.ZipInfo(f"{name}.csv", EARLIEST)
    member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
    with archive.open(member, "w", force_zip64=True) as file, as_text(file) as text:
        return write_rows(text, header, rows, progress)


def _manifest() -> Iterator[Sequence[str]]:
    yield "manifest.version", "1.0"
    yield "oneroster.version", "1.2"
    modes = dict.fromkeys(COLUMNS, "bulk") | dict.fromkeys(ABSENT.split(), "absent")
    for name in sorted(modes, key=str.lower):
        yield f"file.{name}", modes[name]
    yield "source.systemName", NAME
    yield "source.systemCode", NAME


def _orgs(_: Connection) -> Iterator[_Cells]:
    yield {"sourcedId": SCHOOL, "name": "School", "type": "school", "identifier": SCHOOL}


def _sessions(connection: Connection) -> Iterator[_Cells]:
    for row in repository.rows(connection, "academicSessions"):
        dates = {"startDate": row.starts_on.isoformat(), "endDate": row.ends_on.isoformat()}
        session = {"title": row.title, "type": "term", "schoolYear": str(row.ends_on.year), "metadata.code": row.code}
        yield {"sourcedId": row.id, **session, **dates}


def _courses(connection: Connection) -> Iterator[_Cells]:
    for row in repository.rows(connection, "courses"):
        yield {
            "sourcedId": row.id,
            "title": row.title,
            "courseCode": row.code,
            "orgSourcedId": SCHOOL,
            "metadata.catalogEntry": values.written(bool(row.has_entry)),
        }


def _classes(connection: Connection) -> Iterator[_Cells]:
    for row in repository.rows(connection, "classes"):
        yield {
            "sourcedId": row.id,
            "title": row.title,
            "courseSourcedId": row.course,
            "classCode": row.code,
            "classType": "scheduled",
            "schoolSourcedId": SCHOOL,
            "termSourcedIds": "" if row.term_id is None else row.term,
            "metadata.catalogEntry": values.written(bool(row.has_entry)),
        }


def _users(connection: Connection) -> Iterator[_Cells]:
    for row in repository.rows(connection, "users"):
        given_name, family_name = row.given_name or "", row.family_name or ""
        is_split = not (given_name or family_name)
        if is_split:
            given_name, _, family_name = row.name.rpartition(" ")
            given_name, family_name = (given_name, family_name) if given_name else (family_name, "")
        yield {
            "sourcedId": row.id,
            "enabledUser": "true",
            "username": row.email or row.id,
            "givenName": given_name,
            "familyName": family_name,
            "email": row.email or "",
            "primaryOrgSourcedId": SCHOOL,
            "metadata.name": row.name,
            "metadata.nameIsSplit": values.written(is_split),
        }


def _roles(connection: Connection) -> Iterator[_Cells]:
    for row in repository.rows(connection, "users"):
        roles = ["student", "teacher"] if row.role == "student" and row.is_staff else [row.role]
        for role in roles:
            yield {
                "sourcedId": f"{row.id}:{role}",
                "userSourcedId": row.id,
                "roleType": "primary" if role == roles[0] else "secondary",
                "role": role,
                "orgSourcedId": SCHOOL,
            }


def _enrollments(connection: Connection) -> Iterator[_Cells]:
    for role, name in (("student", "students"), ("teacher", "teachers")):
        for row in repository.rows(connection, name):
            yield {
                "sourcedId": f"{row.id}:{row.user}:{role}",
                "classSourcedId": row.id,
                "schoolSourcedId": SCHOOL,
                "userSourcedId": row.user,
                "role": role,
            }


_FILES = {
    "orgs": _orgs,
    "academicSessions": _sessions,
    "courses": _courses,
    "classes": _classes,
    "users": _users,
    "roles": _roles,
    "enrollments": _enrollments,
}
