"""Pages of lists: the query of a list, and its response."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from .fields import QueryInteger
from .response_fields import Word


class PageQuery(Schema):
    """The query of a list; subclasses add its filters."""

    limit = QueryInteger(
        1,
        200,
        load_default=50,
        metadata={"description": "The most items on the page."},
    )
    after = fields.String(
        validate=validate.Length(min=1, max=200),
        metadata={
            "description": "The `next` of the page before, to continue after it.",
            "examples": ["AAAAAAAAADLJ1mX4cQ2T"],
        },
    )


def page_of(name: str, item: type[Schema]) -> type[Schema]:
    """Return the schema of a page of items."""
    return type(
        name,
        (Schema,),
        {
            "__doc__": "A page of a list.",
            "items": fields.List(fields.Nested(item), required=True),
            "next": Word(allow_none=True),
        },
    )
