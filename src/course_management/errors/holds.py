"""Refusals that concern holds and permissions."""

from __future__ import annotations

from .base import Conflict, Problem


class HoldNotFound(Problem):
    code, status, title = "hold_not_found", 404, "Hold not found"
    meaning = "The student has no hold with this id."
    remedy = "List the holds with GET /students/{id}/holds."


class PermissionNotFound(Problem):
    code, status, title = "permission_not_found", 404, "Permission not found"
    meaning = "The student has no permission with this id, or none that you may see."
    remedy = "List the permissions with GET /students/{id}/permissions."


class PermissionExists(Conflict):
    code, title = "permission_exists", "Permission exists"
    meaning = "The student has a permission for this rule of this course already."
    remedy = "Nothing is left to do. To grant it with another reason or expiry, revoke the one in `existing_id` first."
