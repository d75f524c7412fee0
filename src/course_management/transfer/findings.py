"""What is wrong with a file or with one of its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An error or a warning about a file. `detail` says what was found and what to do.

    `file` is empty if no single file is meant. `line` is the line of the file, from 1, in which the row begins; None
    for the file as a whole. `column` is the name in the header of the file. A row with an error is left out; a
    warning changes nothing.
    """

    file: str
    line: int | None = None
    column: str | None = None
    code: str
    detail: str
    is_error: bool = True

    def __str__(self) -> str:
        line = f"line {self.line}" if self.line else ""
        column = f"column {self.column}" if self.column else ""
        place = ", ".join(filter(None, [self.file, line, column]))
        return f"{place}: {self.detail}" if place else self.detail


Report = Callable[[Finding], object]
"""Called with each finding about a row."""


class FileRefused(Exception):
    """A file cannot be used at all: nothing of the import is applied."""

    def __init__(self, file: str, code: str, detail: str, line: int | None = None) -> None:
        self.finding = Finding(file=file, line=line, code=code, detail=detail)
        super().__init__(str(self.finding))
