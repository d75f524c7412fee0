"""Which format files have, by their headers, and their records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from ..findings import FileRefused, Finding
from ..records import Record
from ..sources import Source
from ..tables import Table, key_of, open_table
from .base import Files, Format, Options, Shape, report_unknown_columns
from .canvas import CANVAS
from .moodle import COLUMNS, FEWEST, MOODLE, OPERATIONS
from .sourced import ONEROSTER, OTHERS, SDS
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
        format_, shape = _recognized(table)
        if first and format_ is not first[0]:
            detail = (
                f"The format is {format_.name}, but that of {first[1].name} is {first[0].name}. Import files of "
                "different formats one after the other."
            )
            raise FileRefused(source.name, "several_formats", detail, table.skipped_lines + 1)
        first = first or (format_, source)
        if missing := (format_.required & shape.columns) - table.names.keys():
            raise _lacking(table, format_, shape, missing)
        if shape.name == OTHERS:
            detail = "The file has none of the data that is imported, and is ignored."
            options.report(Finding(file=source.name, code="file_ignored", detail=detail, is_error=False))
        report_unknown_columns(table, shape.columns, options.report)
        tables.setdefault(shape.name, []).append(table)
    if first is None:
        raise FileRefused("", "no_files", "There is no file to import.")
    return first[0], Files(tables, options)


def read(sources: Iterable[Source], options: Options, encoding: str | None = None) -> Iterator[Record]:
    """Yield the records of the files, in an order in which they can be written. Raises `FileRefused`."""
    format_, files = recognize(sources, options, encoding)
    yield from format_.records(files)


def _without_header(table: Table) -> Table:
    """Return the table; one of Moodle, which has no header, gets one."""
    size = len(table.header)
    if table.header[0].casefold() not in OPERATIONS or not FEWEST <= size <= len(COLUMNS):
        return table
    return replace(table, header=COLUMNS[:size], has_header=False)


def _recognized(table: Table) -> tuple[Format, Shape]:
    is_sds = not (table.names.keys() & _ONEROSTER_ONLY)
    formats = [format_ for format_ in FORMATS if format_ is not (ONEROSTER if is_sds else SDS)]
    candidates: list[tuple[int, Format, Shape]] = [
        (size, format_, shape) for format_ in formats for shape in format_.shapes if (size := shape.match(table.names))
    ]
    best = max((size for size, _, _ in candidates), default=0)
    matches = [(format_, shape) for size, format_, shape in candidates if size == best]
    if nearest := _nearest(table, formats if is_sds else [ONEROSTER]):
        nearest_format, shape, missing, is_named = nearest
        is_other_kind = nearest_format is not TEMPLATES and any(format_ is nearest_format for format_, _ in matches)
        if (is_named and is_other_kind) or not matches or (len(matches) > 1 and not is_sds):
            raise _lacking(table, nearest_format, shape, missing)
    columns = ", ".join(table.names.values())
    if not matches:
        detail = f"The columns are of no known format: {columns}. The first line must name the columns."
    elif len(matches) > 1:
        names = " or ".join(f"{shape.name} of {format_.name}" for format_, shape in matches)
        detail = f"The columns may be those of {names}: {columns}. Delete the columns that belong to only one of them."
    else:
        return matches[0]
    raise FileRefused(table.source.name, "unknown_format", detail, table.skipped_lines + 1)


def _nearest(table: Table, formats: Iterable[Format]) -> tuple[Format, Shape, frozenset[str], bool] | None:
    """Return the kind of file that a table would be with some more columns, these, and whether its name says so.

    Its name must say so, or the table must have at least half of the columns that identify the kind of file.
    """
    stem = key_of(PurePosixPath(table.source.base).stem)
    likenesses = [
        ((is_named, -len(missing), len(present)), (format_, shape, missing, is_named))
        for format_ in formats
        for shape in format_.shapes
        if not shape.match(table.names)
        for signature in shape.signatures
        if (present := signature & shape.keys(table.names))
        and (missing := signature - present)
        and ((is_named := key_of(shape.name) == stem) or len(present) >= len(missing))
    ]
    return max(likenesses, key=lambda likeness: likeness[0])[1] if likenesses else None


def _lacking(table: Table, format_: Format, shape: Shape, missing: Collection[str]) -> FileRefused:
    names = ", ".join(sorted(shape.names.get(key, key) for key in missing))
    unknown = ", ".join(name for key, name in table.names.items() if not shape.keys([key]) & shape.columns)
    detail = (
        f"The file looks like {shape.name} of {format_.name}, but has no column {names}. "
        f"{f'Unknown columns: {unknown}. ' if unknown else ''}Correct the names of the columns, or export it again."
    )
    return FileRefused(table.source.name, "missing_column", detail, table.skipped_lines + 1)


__all__ = ["FORMATS", "Files", "Format", "Options", "read", "recognize"]
