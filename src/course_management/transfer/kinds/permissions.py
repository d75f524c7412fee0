"""Permissions: rules that are waived for a student in a course."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ...repositories import import_targets as targets
from ...schemas.fields import Instant
from ...schemas.holds import PermissionBody
from ...services import permissions
from ...services.enrollment.rules import waivable
from ..handlers import StudentRecordHandler
from ..kind import Kind, Reference, of_body
from ..staging import Staged
from ..verdicts import REFUSE, Verdict
from .holds import instant, over

PERMISSION_KIND = Kind(
    "permissions",
    {
        "student": Reference(),
        "course": Reference(),
        **of_body(PermissionBody, "course_id", "expires_at"),
        "expires_at": Instant(allow_none=True),
    },
    ("student", "course", "rule"),
    ("student course rule",),
)


class PermissionHandler(StudentRecordHandler):
    """Grants permissions. One with another reason or another end is revoked, and granted again."""

    kind = PERMISSION_KIND
    references: ClassVar = {"student": "student", "course": "course"}

    def read_present(self, rows: Sequence[Staged]) -> None:
        """Read the permissions of the students."""
        self._present = targets.permissions_of(self.existing_ids("student", rows))

    def check(self, row: Staged) -> Verdict | None:
        """Return that a permission is over, or that the rule cannot be waived."""
        if row.values["rule"] not in waivable():
            detail = f"rule: Must be one of: {', '.join(sorted(waivable()))}."
            return Verdict(row.number, REFUSE, "validation_failed", detail)
        return over(row, "expires_at", "permission_over")

    def _found(self, row: Staged) -> Any:
        student_id, course_id = (self.id_of(name, row.values[name]) or 0 for name in self.references)
        return self._present.get((student_id, course_id, row.values["rule"]))

    def present(self, row: Staged) -> Any:
        """Return the permission, or None."""
        return self._found(row)

    def put(self, row: Staged, *, is_new: bool) -> None:
        """Grant the permission."""
        student_id, course_id = (self.id_of(name, row.values[name]) or 0 for name in self.references)
        old = None if is_new else self._found(row)
        ends = instant(row.values.get("expires_at"), old.expires_at if old and "expires_at" not in row.values else None)
        values = {"course_id": course_id, "expires_at": ends}
        values |= {name: row.values[name] for name in ("rule", "reason")}
        if old is not None:
            permissions.revoke(student_id, old.id, self.context)
        permissions.grant(student_id, values, self.context)
