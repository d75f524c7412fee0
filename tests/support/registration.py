"""Registration windows and holds, as the API takes them."""

from __future__ import annotations

WINDOW = {"group_id": None, "opens_at": "2026-08-01T06:00:00Z", "closes_at": "2026-09-01T06:00:00Z"}

OTHER = {"group_id": None, "opens_at": "2020-01-01T00:00:00Z", "closes_at": "2030-01-01T00:00:00Z"}

ALWAYS = {"opens_at": "2000-01-01T00:00:00Z", "closes_at": "2100-01-01T00:00:00Z"}

HOLD = {"kind": "financial", "contact": "Bursar", "blocks": "enroll"}
