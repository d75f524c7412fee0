"""Which format files have, by their headers, and their records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..findings import FileRefused
from ..records import Record
from ..sources import Source
from ..tables import Table, open_table
from .base import Files, Format, Options, Shape, report_unknown_columns
from .canvas import CANVAS
from .moodle import COLUMNS, FEWEST, MOODLE, OPERATIONS
from .sourced import ONEROSTER, SDS
from .templates import TEMPLATES
from .uiuc import UIUC

FORMATS = (ONEROSTER, SDS, CANVAS, UIUC, MOODLE, TEMPLATES)
_ONEROSTER_ONLY = {"datelastmodified", "datalastmodified", "propertyname"}
"""Columns that each file of OneRoster has, and none of School Data Sync."""


def recognize(sources: Iterable[Source], options: Options, encoding: str | None = None) -> tuple[Format, Files]:
    """Return the format of the files, with their tables by kind. Raises `FileRefused`.

    All of them must have the same format. Unknown columns are reported.
    """
    first: tuple[Format, Source] | None = None
    tables: dict[str, list[Table]] = {}
    for source in sources:
        table = _without_header(open_table(source, encoding))
        found, shape = _recognized(table)
        if first and found is not first[0]:
            detail = (
                f"The format is {found.name}, but that of {first[1].name} is {first[0].name}. Import files of "
                "different formats one after the other."
            )
            raise FileRefused(source.name, "several_formats", detail, table.skipped_lines + 1)
        first = first or (found, source)
        report_unknown_columns(table, shape.columns, options.report)
        tables.setdefault(shape.name, []).append(table)
    if first is None:
        raise FileRefused("-", "no_files", "There is no file to import.")
    return first[0], Files(tables, options)


def read(sources: Iterable[Source], options: Options, encoding: str | None = None) -> Iterator[Record]:
    """Yield the records of the files, in an order in which they can be written. Raises `FileRefused`."""
    found, files = recognize(sources, options, encoding)
    yield from found.records(files)


def _without_header(table: Table) -> Table:
    """Return the table; one of Moodle, which has no header, gets one."""
    size = len(table.header)
    if table.header[0].casefold() not in OPERATIONS or not FEWEST <= size <= len(COLUMNS):
        return table
    return replace(table, header=COLUMNS[:size], has_header=False)


def _recognized(table: Table) -> tuple[Format, Shape]:
    is_sds = not (table.names.keys() & _ONEROSTER_ONLY)
    candidates: list[tuple[int, Format, Shape]] = [
        (size, each, shape)
        for each in FORMATS
        for shape in each.shapes
        if (size := shape.match(table.names)) and each is not (ONEROSTER if is_sds else SDS)
    ]
    best = max((size for size, _, _ in candidates), default=0)
    found = [(each, shape) for size, each, shape in candidates if size == best]
    where = table.source.name, "unknown_format"
    columns = ", ".join(table.names.values())
    line = table.skipped_lines + 1
    if not found:
        detail = f"The columns are of no known format: {columns}. The first line must name the columns."
        raise FileRefused(*where, detail, line)
    if len(found) > 1:
        names = " or ".join(f"{shape.name} of {each.name}" for each, shape in found)
        raise FileRefused(*where, f"The columns may be those of {names}: {columns}. Add a column that decides.", line)
    return found[0]


__all__ = ["FORMATS", "Files", "Format", "Options", "read", "recognize"]
