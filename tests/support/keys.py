"""API keys for tests."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from course_management.access import key_management as keys


def create_key(name: str, scopes: Collection[str], expires_at: datetime | None = None) -> str:
    """Create a key as the command line does, and return what its service sends."""
    return keys.create(name, scopes, expires_at).secret
