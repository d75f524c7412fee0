"""Refusals that concern the API keys of services."""

from __future__ import annotations

from .base import Conflict, Problem


class KeyNotFound(Problem):
    code, status, title = "key_not_found", 404, "Key not found"
    meaning = "There is no key with this id."
    remedy = "List the keys with GET /keys."


class TooManyKeys(Conflict):
    code, title = "too_many_keys", "Too many keys"
    meaning = "Two active keys have this name already, as many as a change from an old key to a new one needs."
    remedy = "Revoke a key of this name first, with DELETE /keys/{id}, or use another name."


class KeyEnded(Conflict):
    code, title = "key_ended", "Key ended"
    meaning = "The key is revoked or has expired, and cannot be made valid again."
    remedy = "Create a new key with POST /keys."
