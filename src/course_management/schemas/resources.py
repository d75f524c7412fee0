"""What the schema of a resource says: which fields there are, which of them clients set, and by which they filter.

One schema serves all calls of a resource. `POST` loads it, `PATCH` loads a part of it, responses have its fields, and
the first part of the ETag covers those that clients set. `metadata` of a field has an `example`, `filter: True` if
lists can be filtered by it, and `fixed: True` if it can only be set by `POST`. A boolean with `since` is true where the
column of that name has a time.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from operator import attrgetter
from typing import Any, ClassVar

from marshmallow import Schema, fields, missing

from .fields import Credits, Id, QueryBoolean, QueryInteger, StrictBoolean, StrictInteger, Text
from .lists import SetField
from .pagination import PageQuery
from .response_fields import MOMENT


class ResourceSchema(Schema):
    """Base of the schemas of resources."""

    id = fields.Integer(dump_only=True, metadata={"format": "int64", "example": 1})
    created_at = fields.DateTime(dump_only=True, metadata={"example": MOMENT})
    updated_at = fields.DateTime(dump_only=True, metadata={"example": MOMENT})
    """The last change of what clients set."""

    searched: ClassVar[str] = ""
    """What `q` searches; empty: the list cannot be searched."""

    @classmethod
    def fields_of(cls) -> dict[str, fields.Field[Any]]:
        """Return the fields by name."""
        return cls._declared_fields

    @classmethod
    @functools.cache
    def settable(cls) -> tuple[str, ...]:
        """Return the names of the fields that clients set."""
        return tuple(name for name, field in cls.fields_of().items() if not field.dump_only)

    @classmethod
    @functools.cache
    def shown(cls) -> tuple[str, ...]:
        """Return the names of all fields of a response: the id, what clients set, and the rest."""
        rest = [name for name, field in cls.fields_of().items() if field.dump_only and name != "id"]
        return ("id", *cls.settable(), *sorted(rest, key=lambda name: name.endswith("_at")))

    @classmethod
    def stored(cls) -> tuple[str, ...]:
        """Return what is read of a row for a response: the names of its fields, or of the columns they come from."""
        return tuple(cls.fields_of()[name].metadata.get("since", name) for name in cls.shown())

    @classmethod
    def writer(cls) -> Callable[[Any], dict[str, Any]]:
        """Return a function that writes a row as `dump` does: generated once, it takes a hundredth of the time."""
        others = {
            name: _getter(name, field)
            for name, field in cls.fields_of().items()
            if isinstance(field, fields.Function | SetField)
        }

        # As dataclasses and named tuples do: a loop over the names takes five times as long as the text of a dict.
        def value(name: str) -> str:
            field = cls.fields_of()[name]
            if name in others:
                return f"others[{name!r}](row)"
            if since := field.metadata.get("since"):
                return f"row.{since} is not None"
            if isinstance(field, Credits):
                return f"None if row.{name} is None else written(row.{name})"
            return f"row.{name}"

        items = (f"{name!r}: {value(name)}" for name in cls.shown())
        names = {"others": others, "written": Credits.written}
        write: Callable[[Any], dict[str, Any]] = eval(f"lambda row: {{{', '.join(items)}}}", names)  # noqa: S307
        return write

    @classmethod
    def editable_values(cls) -> Callable[[Any], list[Any]]:
        """Return a function that lists what a client may edit of a row, with its id: what If-Match compares."""
        getters = [_getter(name, cls.fields_of()[name]) for name in ("id", *cls.settable())]
        return lambda row: [get(row) for get in getters]

    @classmethod
    def body(cls, *, partial: bool = False) -> Schema:
        """Return the schema of the body of POST or, with `partial`, of PATCH."""
        fields_of = cls.fields_of()
        left_out = [name for name, field in fields_of.items() if field.dump_only or (partial and _is_fixed(field))]
        body = cls(partial=partial or None, exclude=left_out)
        body.__doc__ = f"Fields that are not sent {'stay as they are' if partial else 'are null or have a default'}."
        if partial:
            for field in body.fields.values():
                field.load_default = missing  # a field that is not sent keeps its value, also in the OpenAPI document
        for field in body.fields.values():
            _leave_out_example(field)
        return body

    @classmethod
    @functools.cache
    def response(cls) -> type[Schema]:
        """Return the schema of a response, in which every field is there. What clients set is described by `body`."""
        fields_by_name = {name: copy.deepcopy(cls.fields_of()[name]) for name in cls.shown()}
        read_only = set(cls.shown()) - set(cls.settable())
        for name, field in fields_by_name.items():
            field.required, field.dump_only, field.load_default = True, False, missing
            field.allow_none = field.allow_none and not isinstance(field, SetField)  # the row has an empty list
            field.validators = []
            shown = {"type", "format", "x-type"} | ({"description"} if name in read_only else set())
            field.metadata = {key: value for key, value in field.metadata.items() if key in shown}
        attributes = {"__doc__": cls.__doc__, "example": cls.example(), **fields_by_name}
        return type(cls.__name__.removesuffix("Schema"), (Schema,), attributes)

    @classmethod
    def query(cls, plural: str) -> type[PageQuery]:
        """Return the schema of the query of the list."""
        filters: dict[str, Any] = {}
        if cls.searched:
            filters["q"] = Text(
                100,
                metadata={"description": f"Only rows that contain all of these {cls.searched}.", "examples": ["ada"]},
            )
        for name, declared in cls.fields_of().items():
            if declared.metadata.get("filter"):
                field = filters[name] = _in_query(declared)
                field.required, field.allow_none, field.load_default = False, False, missing
                # Not `example`: the documentation page would send it along.
                examples = [declared.metadata["example"]]
                field.metadata = {"description": "Only those with this value.", "examples": examples}
                if isinstance(declared, Id):
                    field.metadata["x-type"] = "Id"
        return type(f"{plural.capitalize()}Query", (PageQuery,), filters)

    @classmethod
    def example(cls, **changes: Any) -> dict[str, Any]:
        """Return an example of a response."""
        return {name: cls.fields_of()[name].metadata["example"] for name in cls.shown()} | changes

    @classmethod
    def body_example(cls) -> dict[str, Any]:
        """Return an example of the body of POST."""
        return {name: cls.fields_of()[name].metadata["example"] for name in cls.settable()}

    @classmethod
    def change_example(cls) -> dict[str, Any]:
        """Return an example of the body of PATCH."""
        last = [name for name in cls.settable() if not _is_fixed(cls.fields_of()[name])][-1]
        return {last: cls.fields_of()[last].metadata["example"]}


def _in_query(field: fields.Field[Any]) -> fields.Field[Any]:
    """Return the field of a body as one of a query, where numbers and booleans are texts."""
    if isinstance(field, StrictInteger):
        return QueryInteger(field.minimum, field.maximum, metadata=field.metadata)
    if isinstance(field, StrictBoolean):
        return QueryBoolean(metadata=field.metadata)
    return copy.deepcopy(field)


def _leave_out_example(field: fields.Field[Any]) -> None:
    """Remove the example of one field, where the OpenAPI document has an example of the whole."""
    field.metadata = {name: value for name, value in field.metadata.items() if name != "example"}


def _is_fixed(field: fields.Field[Any]) -> bool:
    return bool(field.metadata.get("fixed"))


def _getter(name: str, field: fields.Field[Any]) -> Callable[[Any], Any]:
    if isinstance(field, fields.Function):
        return field.serialize_func  # type: ignore[return-value]
    if since := field.metadata.get("since"):
        return lambda row: getattr(row, since) is not None
    if isinstance(field, SetField | Credits):
        return lambda row: field.written(getattr(row, name))
    return attrgetter(name)
