"""The kinds of records that files have, whatever their format.

A kind has the field names of our own resources. Other rows are named by their `external_id` (terms, catalog entries and
courses also by their code), in a column without `_id`: `term` instead of `term_id`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import fields

from ..schemas.catalog import AlternativeBody, CatalogEntrySchema, CompletionBody, LimitBody
from ..schemas.courses import CourseSchema
from ..schemas.fields import ExternalId, Instant, Text
from ..schemas.holds import HoldBody, PermissionBody
from ..schemas.lists import Choice
from ..schemas.people import AccountBody, PersonSchema
from ..schemas.resources import ResourceSchema
from ..schemas.students import StudentSchema
from ..schemas.terms import GroupSchema, TermSchema
from ..schemas.timetables import MeetingBody

Fields = Mapping[str, fields.Field[Any]]
STATUSES = ("enrolled", "unenrolled", "completed")
"""Of an enrollment in a file. `completed` changes nothing: the term is over."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What a record is about: its fields, those it must have, those that identify it, and those that are ids."""

    name: str
    fields: Fields
    required: frozenset[str]
    identity: tuple[str, ...]
    """Two records with the same values of these are about the same thing."""
    ids: frozenset[str]
    one_of: tuple[str, ...] = ()
    """Exactly one of these must have a value."""

    def key(self, values: Mapping[str, Any]) -> tuple[str, str | None]:
        """Return the unit of a record, whose records are decided together, and what it is about within the unit."""
        first, *rest = self.identity
        if first in self.one_of:  # an account belongs to a student or a person
            return next(str(values[name]) for name in self.one_of if values.get(name)), None
        return str(values[first]), "/".join(str(values.get(name) or "") for name in rest)[:255] or None


class Reference(Text):
    """The id of a row in the system that the files come from."""

    def __init__(self) -> None:
        super().__init__(255, allow_none=True, load_default=None)


def _resource(schema: type[ResourceSchema], *left_out: str, **more: fields.Field[Any]) -> dict[str, fields.Field[Any]]:
    own = {name: schema.fields_of()[name] for name in schema.settable() if name not in left_out}
    return {"external_id": own.pop("external_id"), **own, **more} if "external_id" in own else own


def _body(schema: type[Any], *left_out: str) -> dict[str, fields.Field[Any]]:
    return {name: field for name, field in schema().fields.items() if name not in left_out}


def _kind(
    name: str,
    columns: Fields,
    identity: tuple[str, ...],
    *,
    optional: tuple[str, ...] = (),
    one_of: tuple[str, ...] = (),
) -> Kind:
    """Return a kind; its required fields are those of the schemas and its identity, but not `optional` or `one_of`."""
    required = {each for each, field in columns.items() if field.required} | {*identity}
    ids = {each for each, field in columns.items() if isinstance(field, ExternalId | Reference)}
    ids |= {*columns} & {"code", "group_code", "subject"}
    return Kind(name, columns, frozenset(required - {*optional, *one_of}), identity, frozenset(ids), one_of)


TERMS = _kind("terms", _resource(TermSchema), ("external_id",))
CATALOG = _kind("catalog", _resource(CatalogEntrySchema), ("external_id",))
PREREQUISITES = _kind(
    "prerequisites",
    {
        "catalog": Reference(),
        "group_number": Text(20, required=True),
        "requires": Reference(),
        "group_kind": GroupSchema.fields_of()["kind"],
        "group_code": GroupSchema.fields_of()["code"],
        **_body(AlternativeBody, "catalog_id", "group_id"),
    },
    ("catalog", "group_number", "requires", "group_kind", "group_code"),
    optional=("group_kind", "group_code", "requires"),
    one_of=("requires", "group_code"),
)
COURSES = _kind(
    "courses",
    _resource(CourseSchema, "term_id", "catalog_id", term=Reference(), catalog=Reference()),
    ("external_id",),
)
MEETINGS = _kind(
    "meetings", {"course": Reference(), **_body(MeetingBody)}, ("course", "weekday", "starts", "starts_on")
)
GROUPS = _kind("groups", _resource(GroupSchema), ("kind", "code"))
STUDENTS = _kind("students", _resource(StudentSchema), ("external_id",))
MEMBERS = _kind(
    "members",
    {"student": Reference(), **{name: GroupSchema.fields_of()[name] for name in ("kind", "code")}},
    ("student", "kind", "code"),
)
PEOPLE = _kind(
    "people",
    _resource(PersonSchema, "student_id", "advises", student=Reference()),
    ("external_id",),
)
INSTRUCTORS = _kind("instructors", {"course": Reference(), "person": Reference()}, ("course", "person"))
ACCOUNTS = _kind(
    "accounts",
    {"student": Reference(), "person": Reference(), **_body(AccountBody)},
    ("student", "person", "issuer", "subject"),
    optional=("student", "person"),
    one_of=("student", "person"),
)
COMPLETIONS = _kind(
    "completions",
    {"student": Reference(), "catalog": Reference(), "term_code": Text(50, required=True), **_body(CompletionBody)},
    ("student", "catalog", "term_code"),
)
HOLDS = _kind(
    "holds",
    {"student": Reference(), **_body(HoldBody, "until"), "until": Instant(allow_none=True)},
    ("student", "kind"),
)
PERMISSIONS = _kind(
    "permissions",
    {
        "student": Reference(),
        "course": Reference(),
        **_body(PermissionBody, "course_id", "expires_at"),
        "expires_at": Instant(allow_none=True),
    },
    ("student", "course", "rule"),
)
LIMITS = _kind("limits", {"student": Reference(), "term": Reference(), **_body(LimitBody)}, ("student", "term"))
ENROLLMENTS = _kind(
    "enrollments",
    {
        "student": Reference(),
        "course": Reference(),
        "status": Choice(STATUSES),
        "credits": CourseSchema.fields_of()["credits"],
    },
    ("student", "course"),
)

KINDS = (
    TERMS,
    CATALOG,
    PREREQUISITES,
    GROUPS,
    COURSES,
    MEETINGS,
    STUDENTS,
    MEMBERS,
    PEOPLE,
    INSTRUCTORS,
    ACCOUNTS,
    COMPLETIONS,
    HOLDS,
    PERMISSIONS,
    LIMITS,
    ENROLLMENTS,
)
"""In the order in which they can be written: a record names only records of kinds before it."""
