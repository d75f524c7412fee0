"""Our own templates: one file per kind of record, with its field names as columns.

A spreadsheet takes a cell that begins with =, +, - or @ for a formula. Our exports put an apostrophe in front of it,
which is taken away here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping

from .. import spreadsheets
from ..kind import Kind
from ..kinds import KINDS
from ..records import Record
from ..tables import Row, key_of
from .base import Files, Format, Shape, require_columns

ALIASES: Mapping[str, tuple[str, ...]] = {
    "external_id": ("id", "sisid", "sourcedid"),
    "email": ("emailaddress", "mail"),
    "name": ("fullname", "displayname"),
    "title": ("longname",),
    "starts_on": ("startdate",),
    "ends_on": ("enddate",),
    "given_name": ("firstname",),
    "family_name": ("lastname", "surname"),
    **{name: (f"{name}id", f"{name}externalid") for name in ("student", "course", "term", "catalog", "person")},
}
"""Other names of columns, as keys."""
EXAMPLES: Mapping[str, str] = {
    "external_id": "sis-4711",
    "term": "2026-fall",
    "catalog": "CS 225",
    "course": "CS225-A-2026-fall",
    "student": "s4711",
    "person": "p17",
    "requires": "CS 125",
    "linked": "CS225-B-2026-fall",
    "group_number": "1",
    "kind": "program",
    "weekday": "1",
    "starts": "09:00",
    "ends": "09:50",
    "starts_on": "2026-09-01",
    "ends_on": "2026-12-18",
    "place": "Hall 4",
    "issuer": "https://login.example.edu",
    "subject": "ada@example.edu",
    "term_code": "2025-fall",
    "grade": "B+",
    "points": "3.33",
    "passed": "true",
    "contact": "Bursar's office",
    "blocks": "enroll",
    "rule": "permission_required",
    "reason": "Took an equivalent course elsewhere",
    "status": "enrolled",
    "name": "Ada Lovelace",
    "email": "ada@example.edu",
    "given_name": "Ada",
    "family_name": "Lovelace",
    "roles": "advisor",
    "credit_limit": "21",
    "credits": "4",
}
"""Values of the second line of a template."""


def template(name: str) -> str:
    """Return the template of a kind: its header, and a row as an example. Raises `KeyError`."""
    kind = {kind.name: kind for kind in KINDS}[name]
    example = {column: EXAMPLES.get(column, "") for column in kind.fields} | _own_example(kind)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(kind.fields)
    writer.writerow(example.values())
    return text.getvalue()


def _own_example(kind: Kind) -> dict[str, str]:
    """Return the examples of the fields of resources, which their schemas have; of two alternatives, the first."""
    texts: dict[str, str] = {}
    for name, field in kind.fields.items():
        example = field.metadata.get("example")
        if name in EXAMPLES or example is None:
            continue
        texts[name] = str(example).lower() if isinstance(example, bool) else str(example)
    return texts | dict.fromkeys(kind.one_of[1:], "")


def _shape(kind: Kind) -> Shape:
    aliases = {other: key_of(name) for name in kind.fields for other in ALIASES.get(name, ())}
    columns = {key_of(name) for name in kind.fields}
    return Shape(
        kind.name,
        tuple(frozenset(map(key_of, signature.split())) for signature in kind.signatures),
        frozenset(columns | {*aliases}),
        frozenset(map(key_of, kind.without.split())),
        {other: key for other, key in aliases.items() if other not in columns},
        {key_of(name): name for name in kind.fields},
    )


SHAPES = {kind: _shape(kind) for kind in KINDS}


def _columns(kind: Kind, names: Mapping[str, str]) -> dict[str, str]:
    """Return the key of the file's column for each field that it has; its own name goes before its other names."""
    aliases = SHAPES[kind].aliases
    key_by_field = {aliases.get(key, key): key for key in sorted(names, key=lambda key: key not in aliases)}
    return {name: key_by_field[key_of(name)] for name in kind.fields if key_of(name) in key_by_field}


def _records(files: Files) -> Iterator[Record]:
    for kind in KINDS:
        for table in files.tables.get(kind.name, ()):
            present = _columns(kind, table.names)
            require_columns(table, {key_of(name): name for name in sorted(kind.required - present.keys())})
        for row, reader in files.rows(kind.name):
            cells = {key: spreadsheets.unescaped(text) for key, text in row.cells.items()}
            if record := reader.record(kind, Row(row.file, row.line, cells), _columns(kind, reader.names)):
                yield record


TEMPLATES = Format("our templates", tuple(SHAPES.values()), _records)
