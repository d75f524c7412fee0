"""Cells that a spreadsheet would take for formulas: escaped in exports, and unescaped when our files come back."""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r]")


def escaped(text: str) -> str:
    """Return the text as a spreadsheet shows it without computing anything."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescaped(text: str) -> str:
    """Return the text that `escaped` was given."""
    return text[1:] if _ESCAPED.match(text) else text
