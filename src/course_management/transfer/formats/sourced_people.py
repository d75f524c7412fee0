"""Users and enrollments of OneRoster and School Data Sync."""

from __future__ import annotations

from collections.abc import Iterator

from .. import kinds
from ..records import Record
from .base import Files
from .schools import is_user_elsewhere

STUDENT = "student"
STAFF = {
    "teacher",
    "professor",
    "faculty",
    "lecturer",
    "administrator",
    "siteadministrator",
    "systemadministrator",
    "districtadministrator",
    "principal",
    "staff",
    "aide",
    "ta",
    "teacherassistant",
    "proctor",
    "counselor",
    "adjunct",
}
INSTRUCTOR_ROLES = {"teacher", "professor", "faculty", "lecturer", "adjunct", "ta", "teacherassistant", "aide"}
"""Roles of an enrollment that make a person an instructor of the course."""
GONE = {"tobedeleted", "inactive"}


def users(files: Files, elsewhere: set[str]) -> Iterator[Record]:
    """Yield a student, a person of the staff, or both, for each user with such a role."""
    students: set[str] = set()
    staff: set[str] = set()

    def note(user: str, role: str) -> None:
        if role.casefold() == STUDENT:
            students.add(user)
        elif role.casefold() in STAFF:
            staff.add(user)

    for name in ("roles", "enrollments"):
        for user, role, status, group in files.values(name, "usersourcedid", "role", "status", "classsourcedid"):
            if status.casefold() not in GONE and group not in elsewhere:
                note(user, role)
    columns = {"external_id": "sourcedid", "email": "email"}
    for row, reader in files.rows("users"):
        user, is_removed = row.get("sourcedid"), row.get("status").casefold() in GONE
        for role in row.get("role").split(","):
            note(user, role.strip())
        if is_user_elsewhere(files, row):
            reader.warn(row, None, "other_school", "The user is of another school, and is left out.")
            continue
        name = " ".join(filter(None, [row.get("givenname"), row.get("familyname")]))
        texts = {"name": row.get("metadata.name") or name or row.get("username")}
        if user in students and (
            record := reader.record(kinds.STUDENT_KIND, row, columns, texts, is_removed=is_removed)
        ):
            yield record
        if user in staff:
            is_split = row.get("metadata.nameissplit") == "true"  # by our own export, which had only the whole name
            more = {} if is_split else {"given_name": "givenname", "family_name": "familyname"}
            own = {"student": user} if user in students else {}
            if record := reader.record(kinds.PERSON_KIND, row, columns | more, texts | own, is_removed=is_removed):
                yield record
        elif user not in students:
            detail = f"The role {row.get('role')!r} is neither of a student nor of staff, so the user is left out."
            reader.warn(row, None, "no_role", detail if row.get("role") else "The user has no role, and is left out.")


def enrollments(files: Files, elsewhere: set[str]) -> Iterator[Record]:
    """Yield the enrollments of students, and the instructors of courses."""
    for row, reader in files.rows("enrollments"):
        role, is_removed = row.get("role").casefold(), row.get("status").casefold() in GONE
        if row.get("classsourcedid") in elsewhere:
            reader.warn(row, None, "other_school", "The class is of another school, and the row is left out.")
        elif role == STUDENT:
            columns = {"student": "usersourcedid", "course": "classsourcedid"}
            texts = {"status": "unenrolled" if is_removed else "enrolled"}
            if record := reader.record(kinds.ENROLLMENT_KIND, row, columns, texts):
                yield record
        elif role in INSTRUCTOR_ROLES:
            columns = {"person": "usersourcedid", "course": "classsourcedid"}
            if record := reader.record(kinds.INSTRUCTOR_KIND, row, columns, is_removed=is_removed):
                yield record
        else:
            reader.warn(row, "role", "role_ignored", f"Rows of the role {row.get('role')!r} are left out.")
