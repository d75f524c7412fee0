"""A CSV file as rows: delimiter by the header, strict quotes, and the line of the file in which each row begins."""

from __future__ import annotations

import csv
import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .findings import FileRefused, Finding, Report
from .sources import Source
from .texts import read_lines

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@functools.lru_cache(maxsize=1024)  # asked for each cell: a tenth of the time of reading
def key_of(header: str) -> str:
    """Return what identifies a column: its name without case, spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]+", "", header.casefold())


@dataclass(frozen=True, slots=True)
class Row:
    """A row: trimmed texts by the key of the column, and the line of the file in which it begins."""

    file: str
    line: int
    cells: Mapping[str, str]

    def get(self, key: str) -> str:
        """Return a text; the empty one where the file does not have the column."""
        return self.cells.get(key, "")


@dataclass(slots=True)
class Table:
    """A file with a header. `names` are the columns as the file writes them, by their keys."""

    source: Source
    encoding: str | None
    delimiter: str
    header: Sequence[str]
    skipped_lines: int
    """Lines before the header: one with `sep=;`."""
    has_header: bool = True
    """Whether the first record is the header; otherwise it is a row."""
    names: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.names = {key: name for name in self.header if (key := key_of(name))}

    def rows(self, report: Report) -> Iterator[Row]:
        """Yield the rows; call `report` with the errors of those that are left out. Raises `FileRefused`.

        Empty rows are skipped, as spreadsheets append them. A row may lack cells only of columns without a name.
        """
        keys = [key_of(name) for name in self.header]
        repeated = {key for key in keys if key and keys.count(key) > 1}
        named = max(index for index, key in enumerate(keys) if key) + 1
        name, has_warned = self.source.name, False
        for line, values in itertools.islice(self._records(), self.has_header, None):
            if not any(values):
                continue
            unnamed = any(value for value, key in itertools.zip_longest(values, keys) if value and not key)
            if len(values) < named or (len(values) > len(keys) and any(values[len(keys) :])):
                detail = (
                    f"The row has {len(values)} cells, the header has {len(keys)}. Put quotes around cells with a "
                    f"{DELIMITERS[self.delimiter]}, and export the file again if rows are cut off."
                )
                report(Finding(file=name, line=line, code="wrong_number_of_cells", detail=detail))
                continue
            if unnamed and not has_warned:
                has_warned = True
                detail = "A column without a name has values. They are ignored."
                report(Finding(file=name, line=line, code="unknown_column", detail=detail, is_error=False))
            cells = {key: value for key, value in zip(keys, values, strict=False) if key and key not in repeated}
            for key in repeated:
                found = {value for value, other in zip(values, keys, strict=False) if other == key and value}
                if len(found) > 1:
                    detail = (
                        f"The header has the column twice, with different values here: {sorted(found)}. Delete one."
                    )
                    column = self.names[key]
                    report(Finding(file=name, line=line, column=column, code="contradicting_columns", detail=detail))
                    break
                cells[key] = found.pop() if found else ""
            else:
                yield Row(name, line, cells)

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line in which each record begins, with its cells. Raises `FileRefused`."""
        lines = itertools.islice(read_lines(self.source, self.encoding), self.skipped_lines, None)
        yield from _parse(self.source.name, lines, self.delimiter, self.skipped_lines)


def open_table(source: Source, encoding: str | None = None) -> Table:
    """Read the header of a file. Raises `FileRefused`."""
    lines = read_lines(source, encoding)
    first, skipped = next(lines, ""), 0
    delimiter = None
    if match := re.fullmatch(r"\"?sep=(.)\"?\s*", first, re.IGNORECASE):  # Excel's own way to name the delimiter
        delimiter, skipped = match[1], 1
        first = next(lines, "")
        if delimiter not in DELIMITERS:
            detail = f"The first line names {delimiter!r} as the delimiter. Use a comma, semicolon, tab or bar."
            raise FileRefused(source.name, "unknown_delimiter", detail, 1)
    if not first.strip():
        raise FileRefused(source.name, "no_header", "The first line is empty. It must name the columns.", skipped + 1)
    whole = itertools.chain([first], lines)  # a quoted name may have a line end
    header = next(_parse(source.name, whole, delimiter or _delimiter_of(source, first), skipped))[1]
    if not any(header):
        raise FileRefused(source.name, "no_header", "The header has no column with a name.", skipped + 1)
    return Table(source, encoding, delimiter or _delimiter_of(source, first), header, skipped)


def _delimiter_of(source: Source, header: str) -> str:
    """Return the delimiter that a header has outside of quotes; a comma where it has none."""
    bare = re.sub(r'"[^"]*"', "", header)
    counts = sorted(((bare.count(delimiter), delimiter) for delimiter in DELIMITERS), reverse=True)
    (most, delimiter), (second, other) = counts[:2]
    if not most:
        return ","
    if most == second:
        detail = (
            f"The header has as many {DELIMITERS[delimiter]}s as {DELIMITERS[other]}s, so the delimiter is unclear. "
            "Write it into the first line, as: sep=,"
        )
        raise FileRefused(source.name, "unknown_delimiter", detail, 1)
    return delimiter


def _parse(name: str, lines: Iterator[str], delimiter: str, before: int) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    begins = before + 1
    while True:
        try:
            record = next(reader, None)
        except csv.Error as error:
            last = before + reader.line_num
            where = "" if last == begins else f", which was noticed in line {last} of the file"
            detail = (
                f"The quotes of the row that begins here are wrong ({error}){where}. A quote inside of a quoted cell "
                "is written twice; a quoted cell ends before the delimiter."
            )
            raise FileRefused(name, "wrong_quotes", detail, begins) from None
        if record is None:
            return
        yield begins, [cell.strip() for cell in record]
        begins = before + reader.line_num + 1
