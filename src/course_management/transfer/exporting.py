"""An export: the rows of our tables as files that `formats` reads again, without any change.

The columns of a file are the fields of its kind (`kinds`), as in the templates of imports.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from sqlalchemy import Connection

from ..repositories import exports as repository
from . import kinds, spreadsheets, values
from .kinds import Kind

MEDIA_TYPE = "text/csv"
AT_ONCE = 100
"""Rows that are written without a pause."""
Progress = Callable[[int], object]
"""Called with the number of rows that were just written."""
OF_TERM = (kinds.COURSE_KIND, kinds.STUDENT_KIND, kinds.ENROLLMENT_KIND)
"""The kinds of which the rows of one term can be exported."""


def write_csv(
    kind: Kind,
    file: IO[bytes],
    connection: Connection,
    term_id: int | None = None,
    progress: Progress = lambda _: None,
) -> int:
    """Write the rows of a kind as CSV in UTF-8, safe for spreadsheets, and return their number.

    With `term_id`, only courses, enrollments or students of the term (`OF_TERM`).
    """
    rows = repository.rows(connection, kind.name, list(kind.fields), term_id)
    if kind in (kinds.PREREQUISITE_KIND, kinds.LINK_KIND):
        rows = _renumbered(rows)
    with as_text(file) as text:
        return write_rows(text, kind.fields, map(cells, rows), progress)


@contextmanager
def as_text(file: IO[bytes]) -> Iterator[IO[str]]:
    """Open a file for text in UTF-8 during the block; it stays open afterwards."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        yield text
    finally:
        text.detach()


def write_rows(
    text: IO[str], header: Iterable[str], rows: Iterable[Sequence[str]], progress: Progress = lambda _: None
) -> int:
    """Write a header and rows as CSV, and return the number of the rows."""
    writer = csv.writer(text)
    writer.writerow(header)
    total, rows = 0, iter(rows)
    while page := list(itertools.islice(rows, AT_ONCE)):
        writer.writerows(page)
        total += len(page)
        progress(len(page))
    return total


def cells(row: Sequence[Any]) -> list[str]:
    """Return values as the texts of a row."""
    return [spreadsheets.escaped(value if type(value) is str else values.written(value)) for value in row]


def _renumbered(rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    """Number the groups of each entry or course by their content: our numbers follow from ids of this database."""
    for owner, of_owner in itertools.groupby(rows, lambda row: row[0]):
        groups: dict[int, list[list[str]]] = {}
        for _, number, *content in of_owner:
            groups.setdefault(number, []).append([*map(values.written, content)])
        for number, group in enumerate(sorted(map(sorted, groups.values())), 1):
            yield from ([owner, number, *content] for content in group)
