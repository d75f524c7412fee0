"""Catalog entries with their prerequisites, and what students have completed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields, validates_schema

from .fields import Credits, ExternalId, Id, StrictBoolean, StrictInteger, Text
from .lists import Distinct
from .pagination import page_of
from .resources import ResourceSchema
from .response_fields import MOMENT, Moment, ResponseId, Word

MAX_GROUPS, MAX_ALTERNATIVES = 50, 200
MAX_COUNT = 1000
"""The largest number of courses in a term, and of completions."""


def _count(example: int | None, description: str, **kwargs: Any) -> StrictInteger:
    return StrictInteger(
        1, MAX_COUNT, allow_none=True, metadata={"example": example, "description": description}, **kwargs
    )


class CatalogEntrySchema(ResourceSchema):
    """A subject as the catalog describes it. Several courses offer it: in each term, and several in one."""

    searched = "words of the code and the title"

    code = Text(50, required=True, metadata={"example": "CS 225", "filter": True})
    title = Text(200, joiners=True, required=True, metadata={"example": "Data Structures"})
    credits = Credits(
        required=True, metadata={"example": 4, "description": "For the catalog only: a course counts its own credits."}
    )
    credits_max = Credits(
        allow_none=True,
        load_default=None,
        metadata={"example": 6, "description": "The most credits, where students choose. Null: always `credits`."},
    )
    courses_per_term = _count(
        1, "The most courses of one component that a student takes in a term. Null: any number.", load_default=1
    )
    completions_allowed = _count(
        2, "How often a student can complete the entry. Null: any number of times.", load_default=None
    )
    external_id = ExternalId()


class AlternativeBody(Schema):
    """An entry that a student has completed, or a group that a student is in."""

    catalog_id = Id(allow_none=True, load_default=None)
    group_id = Id(allow_none=True, load_default=None)
    minimum_points = Credits(
        allow_none=True,
        load_default=None,
        metadata={"description": "The least points of the completion. Null: it was passed."},
    )
    minimum_grade = Text(
        20, allow_none=True, load_default=None, metadata={"description": "The same in words, for display only."}
    )
    concurrent_allowed = StrictBoolean(
        load_default=False, metadata={"description": "Whether taking the entry in the same term is enough."}
    )

    @validates_schema
    def _is_entry_or_group(self, data: Mapping[str, Any], **_: Any) -> None:
        if (data["catalog_id"] is None) == (data["group_id"] is None):
            raise ValidationError("Must be there if group_id is not, and only then.", "catalog_id")
        if data["minimum_grade"] is not None and data["minimum_points"] is None:
            raise ValidationError("Needs minimum_points, which decide.", "minimum_grade")
        for name in ("minimum_points", "concurrent_allowed"):
            if data["group_id"] is not None and data[name]:
                raise ValidationError("Only an entry is completed or taken.", name)


class Alternative(Schema):
    """One alternative of a group: an entry or a group of students."""

    catalog_id = ResponseId(allow_none=True)
    group_id = ResponseId(allow_none=True)
    minimum_points = fields.Float(required=True, allow_none=True)
    minimum_grade = Word(allow_none=True)
    concurrent_allowed = fields.Boolean(required=True)


def _names(alternative: Mapping[str, Any]) -> tuple[int | None, int | None]:
    return alternative["catalog_id"], alternative["group_id"]


class PrerequisitesBody(Schema):
    """Groups of alternatives: a student needs one alternative of each group."""

    groups = Distinct(
        Distinct(
            fields.Nested(AlternativeBody),
            1,
            MAX_ALTERNATIVES,
            one="an entry or a group",
            many="alternatives",
            key=_names,
        ),
        0,
        MAX_GROUPS,
        one="a group",
        many="groups",
        key=lambda group: frozenset(tuple(alternative.values()) for alternative in group),
        required=True,
    )


class Prerequisites(Schema):
    """A student needs one alternative of each group."""

    groups = fields.List(fields.List(fields.Nested(Alternative)), required=True)
    sentence = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The same in words, for display only. Null: nothing is required."},
    )


class CatalogWarning(Schema):
    """Prerequisites that were stored, and that are probably wrong."""

    code = Word("prerequisite_cycle", "entry_unreachable")
    detail = Word()
    catalog_ids = fields.List(ResponseId(), required=True)


class ChangedPrerequisites(Prerequisites):
    """Prerequisites after a change, with warnings."""

    warnings = fields.List(fields.Nested(CatalogWarning), required=True)


COMPLETION_BODY = {"grade": "B+", "points": 3.33, "passed": True, "credits": 4, "source": None}


class CompletionBody(Schema):
    """A student completed a catalog entry in a term."""

    grade = Text(20, required=True, metadata={"description": "As the transcript has it."})
    points = Credits(
        allow_none=True,
        load_default=None,
        metadata={"description": "What the minimum points of prerequisites are compared with."},
    )
    passed = StrictBoolean(required=True)
    credits = Credits(required=True)
    source = Text(
        200,
        joiners=True,
        allow_none=True,
        load_default=None,
        metadata={"description": "Where from, such as another school. Null: this school."},
    )


class Completion(Schema):
    """A completion of a catalog entry in a term. The term need not be one of this service."""

    example: ClassVar[dict[str, Any]] = {
        "catalog_id": 1,
        "term_code": "2026-spring",
        **COMPLETION_BODY,
        "created_at": MOMENT,
        "updated_at": MOMENT,
    }

    catalog_id = ResponseId()
    term_code = Word()
    grade = Word()
    points = fields.Float(required=True, allow_none=True)
    passed = fields.Boolean(required=True)
    credits = fields.Float(required=True)
    source = Word(allow_none=True)
    created_at = Moment()
    updated_at = Moment()


class LimitBody(Schema):
    """The most credits of a student in a term."""

    credit_limit = Credits(required=True)


class StudentCreditLimit(Schema):
    """The credit limit of one student in a term. Null: that of the term counts."""

    student_id = ResponseId()
    term_id = ResponseId()
    credit_limit = fields.Float(required=True, allow_none=True)
    created_at = Moment(allow_none=True)
    updated_at = Moment(allow_none=True)


Completions = page_of("Completions", Completion)
PREREQUISITES_EXAMPLE = {"groups": [[{"group_id": 3}, {"catalog_id": 1, "minimum_points": 2, "minimum_grade": "C"}]]}
