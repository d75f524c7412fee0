"""The filters of lists, made from the fields of a resource."""

from __future__ import annotations

import pytest
from marshmallow import ValidationError

from course_management.schemas.fields import StrictBoolean, StrictInteger
from course_management.schemas.resources import ResourceSchema


class RoomSchema(ResourceSchema):
    """A room."""

    seats = StrictInteger(1, 99, required=True, metadata={"example": 3, "filter": True})
    closed = StrictBoolean(load_default=False, metadata={"example": False, "filter": True})
    floor = StrictInteger(0, 9, metadata={"example": 0})


QUERY = RoomSchema.query("rooms")


def test_numbers_and_booleans_are_texts_in_a_query() -> None:
    loaded = QUERY().load({"seats": "12", "closed": "true"})

    assert (loaded["seats"], loaded["closed"]) == (12, True)


@pytest.mark.parametrize(("name", "text"), [("seats", "0"), ("seats", "012"), ("closed", "1"), ("floor", "1")])
def test_a_filter_refuses_what_its_field_refuses(name: str, text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        QUERY().load({name: text})

    assert refused.value.messages_dict.keys() == {name}


def test_without_a_filter_nothing_is_filtered() -> None:
    assert not QUERY().load({}).keys() & {"seats", "closed"}
