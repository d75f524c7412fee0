"""What the formats have in common: kinds of files, recognized by their headers, and codes that are unique."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from ..findings import FileRefused, Finding, Report
from ..records import Reader, Record
from ..tables import Row, Table, key_of

LONGEST_CODE = 50


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of file. `signatures` are sets of columns that only a file of this kind has, as keys (`tables.key_of`).

    `columns` are all that the format has: others are reported. An empty set says that it has too many to list.
    """

    name: str
    signatures: tuple[frozenset[str], ...]
    columns: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    """Columns that such a file never has."""
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Keys that also name a column, with its key."""
    names: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Columns as the format writes them, by their keys, for messages."""

    def match(self, header: Iterable[str]) -> int:
        """Return how many columns of the header identify the kind of file; 0 if it is another one."""
        keys = self.keys(header)
        if keys & self.without:
            return 0
        return max((len(signature) for signature in self.signatures if signature <= keys), default=0)

    def keys(self, header: Iterable[str]) -> set[str]:
        """Return the keys of a header as this kind of file has them."""
        return {self.aliases.get(key, key) for key in header}


def shape(name: str, *signatures: str, columns: str = "", without: str = "") -> Shape:
    """Return a shape; each argument is a list of columns, separated by spaces."""
    names = {key_of(signature): signature for text in (columns, *signatures) for signature in text.split()}
    sets = tuple(frozenset(map(key_of, signature.split())) for signature in signatures)
    known = frozenset(names) if columns else frozenset()
    return Shape(name, sets, known, frozenset(without.split()), names=names)


@dataclass(frozen=True, slots=True)
class Options:
    """How files are read: what is called with findings, and what the files do not say themselves.

    The time zone of the school, one school of several, and the term of sections.
    """

    report: Report
    zone: tzinfo = UTC
    school: str | None = None
    term: str | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """The tables of an import by the name of their shape, in the order in which they were given."""

    tables: Mapping[str, Sequence[Table]]
    options: Options

    def __contains__(self, name: str) -> bool:
        return name in self.tables

    def rows(self, name: str, *, quiet: bool = False) -> Iterator[tuple[Row, Reader]]:
        """Yield the rows of all files of a shape; with `quiet`, report nothing: they are read again later."""
        report: Report = (lambda _: None) if quiet else self.options.report
        for table in self.tables.get(name, ()):
            reader = Reader(report, self.options.zone, table.names)
            for row in table.rows(report):
                yield row, reader

    def values(self, name: str, *keys: str) -> Iterator[tuple[str, ...]]:
        """Yield the texts of some columns of all files of a shape."""
        for row, _ in self.rows(name, quiet=True):
            yield tuple(row.get(key) for key in keys)


Convert = Callable[[Files], Iterator[Record]]


@dataclass(frozen=True, slots=True)
class Format:
    """A format: the name that people know it by, its files, and how their rows become records."""

    name: str
    shapes: tuple[Shape, ...]
    records: Convert = field(compare=False)
    required: frozenset[str] = frozenset()
    """Columns that decide what a row means. A file must have those that its kind of file has."""
    has_schools: bool = False
    """Whether one school of several can be chosen."""


def report_unknown_columns(table: Table, known: frozenset[str], report: Report) -> None:
    """Warn about each column that the format does not have."""
    if not known:
        return
    for key, name in table.names.items():
        if key not in known and "." not in key:  # `metadata.x` of OneRoster is for extensions
            detail = "The column is unknown, and is ignored."
            file = table.source.name
            report(Finding(file=file, column=name, code="unknown_column", detail=detail, is_error=False))


def require_columns(table: Table, names: Mapping[str, str]) -> None:
    """Raise `FileRefused` if the file lacks one of these columns (names by keys)."""
    if missing := [name for key, name in names.items() if key not in table.names]:
        detail = f"The file lacks these columns: {', '.join(missing)}. It has: {', '.join(table.names.values())}."
        raise FileRefused(table.source.name, "missing_column", detail, table.skipped_lines + 1)


def short_code(text: str) -> str:
    """Return a code of at most 50 characters: a longer text is cut, and ends with a hash of the whole."""
    if len(text) <= LONGEST_CODE:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{text[: LONGEST_CODE - 9].rstrip()}-{digest}"


class Codes:
    """Codes for rows whose names repeat: a name that is not unique gets the id of the row at its end.

    They depend on the file only, so that a second import of it finds the same codes. `rows` are the parts of the name
    of each row, then its id: a row that stands twice in the file has a name that is unique.
    """

    def __init__(self, rows: Iterator[tuple[str, ...]]) -> None:
        self._counts = Counter(row[:-1] for row in set(rows))

    def of(self, *name: str, row_id: str) -> str:
        """Return the code of a row; the last part of `name` is the text, the others say among which it is unique."""
        text = name[-1]
        return short_code(text if text and self._counts[name] <= 1 else f"{text}-{row_id}" if text else row_id)
