"""The report of an import as a file: a line for each row, with what would become of it or became of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from ..repositories import imports as repository
from . import spreadsheets
from .exporting import Progress, write_rows

COLUMNS = ("file", "line", "external_id", "outcome", "code", "detail")


def write_report(text: IO[str], import_id: int, progress: Progress = lambda _: None) -> None:
    """Write the report of an import as CSV, safe for spreadsheets, in bounded memory."""
    write_rows(text, COLUMNS, _rows(import_id), progress)


def name_of(unit: str, part: str | None) -> str:
    """Return what a row is about: the external ids of both the student and the course of an enrollment."""
    return "/".join(filter(None, [unit, part]))


def _rows(import_id: int) -> Iterator[list[str]]:
    for row in repository.rows_by_number(import_id):
        values = [row.file, row.line or "", name_of(row.unit, row.part), row.outcome, row.code, row.detail]
        yield [spreadsheets.escaped(str(value or "")) for value in values]
