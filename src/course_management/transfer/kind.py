"""What a kind of record is: its fields, and what identifies a record. The kinds themselves are in `kinds`.

A kind has the field names of our own resources. Other rows are named by their `external_id` (terms, catalog entries and
courses also by their code), in a column without `_id`: `term` instead of `term_id`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any

from marshmallow import fields

from ..schemas.fields import ExternalId, Text
from ..schemas.resources import ResourceSchema

Fields = Mapping[str, fields.Field[Any]]
LONGEST_KEY = 255


@dataclass(frozen=True, eq=False)
class Kind:
    """What a record is about, and how its file looks."""

    name: str
    fields: Fields
    identity: tuple[str, ...]
    """Two records with the same values of these are about the same thing."""
    signatures: tuple[str, ...]
    """Sets of columns, separated by spaces: a template that has all of one is a file of this kind."""
    _: KW_ONLY
    without: str = ""
    """Columns that a template of this kind never has."""
    one_of: tuple[str, ...] = ()
    """Exactly one of these must have a value."""
    optional: tuple[str, ...] = ()
    """Fields of the identity, and fields that a schema requires, which a record may lack."""
    unit_size: int = 1
    """How many fields of the identity name the unit."""

    @cached_property
    def required(self) -> frozenset[str]:
        """The fields that a record must have: those that the schema requires, and the identity."""
        required = {name for name, field in self.fields.items() if field.required} | {*self.identity}
        return frozenset(required - {*self.optional, *self.one_of})

    @cached_property
    def ids(self) -> frozenset[str]:
        """The fields that are ids of another system, which a spreadsheet may have taken for numbers."""
        ids = {name for name, field in self.fields.items() if isinstance(field, ExternalId | Reference)}
        return frozenset(ids | ({*self.fields} & {"code", "group_code", "subject"}))

    def key(self, values: Mapping[str, Any]) -> tuple[str, str | None]:
        """Return the unit of a record, whose records are decided together, and what it is about within the unit."""
        texts = [str(values.get(name) or "") for name in self.identity]
        return _joined(texts[: self.unit_size]), _joined(texts[self.unit_size :]) or None


def _joined(texts: list[str]) -> str:
    """Return one text for several, another one for each other list of texts; a long one ends with its hash."""
    if len(texts) > 1:
        texts = [text.replace("\\", r"\\").replace("/", r"\/") for text in texts]
    while len(texts) > 1 and not texts[-1]:
        texts.pop()
    joined = "/".join(texts)
    if len(joined) <= LONGEST_KEY:
        return joined
    digest = hashlib.sha256(joined.encode()).hexdigest()
    return f"{joined[: LONGEST_KEY - len(digest) - 1]}-{digest}"


class Reference(Text):
    """The id of a row in the system that the files come from."""

    def __init__(self) -> None:
        super().__init__(255, allow_none=True, load_default=None)


def of_resource(
    schema: type[ResourceSchema], *left_out: str, **more: fields.Field[Any]
) -> dict[str, fields.Field[Any]]:
    """Return the settable fields of a resource, the `external_id` first, and some more."""
    own = {name: schema.fields_of()[name] for name in schema.settable() if name not in left_out}
    return {"external_id": own.pop("external_id"), **own, **more} if "external_id" in own else own


def of_body(schema: type[Any], *left_out: str) -> dict[str, fields.Field[Any]]:
    """Return the fields of the body of a request."""
    return {name: field for name, field in schema().fields.items() if name not in left_out}
