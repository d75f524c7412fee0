"""Compares what a page shows with what happened. An ellipsis stands for any text or, alone on a line, any lines."""

from __future__ import annotations

import json
import re
from typing import Any

VARYING = {"request_id", "created_at", "updated_at", "status_since", "at", "placed_at", "granted_at"}
"""Fields whose values are different each time; only their type is compared."""


def differs(shown: str, happened: str) -> str:
    """Say how the output of a command differs from the one that a page shows; empty if it does not."""
    if shown.startswith("HTTP/"):
        head, _, body = shown.partition("\n\n")
        happened_head, _, happened_body = happened.replace("\r", "").partition("\n\n")
        lines = happened_head.splitlines()
        for line in head.splitlines():
            if not any(_matches(line, each) for each in lines):
                return f"no line {line!r} in {happened_head!r}"
        return differs(body, happened_body) if body else ""
    try:
        expected = json.loads(shown)
    except ValueError:
        same = _lines_match(shown.strip("\n").splitlines(), happened.strip("\n").splitlines())
        return "" if same else f"{shown!r} is shown for {happened!r}"
    try:
        return _json_differs("", expected, json.loads(happened))
    except ValueError:
        return f"JSON is shown for {happened!r}"


def _lines_match(shown: list[str], happened: list[str]) -> bool:
    if not shown or not happened:
        return all(line == "…" for line in shown) and not happened
    if shown[0] == "…":
        return _lines_match(shown[1:], happened) or _lines_match(shown, happened[1:])
    return _matches(shown[0], happened[0]) and _lines_match(shown[1:], happened[1:])


def _matches(shown: str, happened: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in shown.split("…")), happened) is not None


def _json_differs(where: str, shown: Any, happened: Any) -> str:
    """A response may have more fields than a page shows, never fewer, and no list is shown in part."""
    if isinstance(shown, dict) and isinstance(happened, dict):
        if missing := shown.keys() - happened.keys():
            return f"{where} has no {sorted(missing)}"
        return next(
            (
                found
                for key in shown
                if (key not in VARYING or type(shown[key]) is not type(happened[key]))
                and (found := _json_differs(f"{where}/{key}", shown[key], happened[key]))
            ),
            "",
        )
    if isinstance(shown, list) and isinstance(happened, list) and len(shown) == len(happened):
        return next(
            (
                found
                for number, (ours, theirs) in enumerate(zip(shown, happened, strict=True))
                if (found := _json_differs(f"{where}/{number}", ours, theirs))
            ),
            "",
        )
    if isinstance(shown, str) and isinstance(happened, str):
        return "" if _matches(shown, happened) else f"{where} is {happened!r}, and {shown!r} is shown"
    return "" if shown == happened else f"{where} is {happened!r}, and {shown!r} is shown"
