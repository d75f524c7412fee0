"""Forms of fields. The schema of the API's body loads them, so that both accept the same.

A browser sends text. `json_value` makes of it what a body of the API would have; what the schema then refuses is said
at the field when the form is shown again, with everything that was entered. A hidden field has the version that the
form was made from, like If-Match: a form that is older than what is stored is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from marshmallow import Schema, ValidationError
from marshmallow.fields import Boolean, Field, List

from ..database.types import as_number
from ..errors import PreconditionFailed, Problem
from ..http.responses import fingerprint
from ..http.validation_errors import validation_failed
from ..schemas.fields import ClockTime, Credits, Day, Email, Instant, StrictInteger
from ..schemas.lists import SetField
from ..schemas.resources import ResourceSchema
from ..services import Precondition
from .field_errors import MISSING, in_words, of_problem
from .moments import zone
from .references import Reference
from .refusals import Entered, FieldError, refusal_of
from .texts import _

INPUT_TYPES = ((Boolean, "checkbox"), (Instant, "datetime-local"), (Day, "date"), (Email, "email"))
Options = Sequence[tuple[str, str]]
"""The choices of a field: pairs of a value and a text."""


def json_value(kind: Field[Any], text: str) -> Any:
    """Return what the API's body would have where a form has this text. What is malformed stays for the schema."""
    value: Any = None
    text = text.strip()
    if isinstance(kind, Boolean):
        value = text == "true"
    elif isinstance(kind, StrictInteger) and re.fullmatch(r"[0-9]{1,15}", text):
        value = int(text)
    elif isinstance(kind, Credits) and re.fullmatch(r"[0-9]{1,6}([.,][0-9]{1,6})?", text):
        value = as_number(Decimal(text.replace(",", ".")))
    elif isinstance(kind, Instant) and text:
        value = _instant(text)
    elif isinstance(kind, ClockTime) and re.fullmatch(r"[0-9]:[0-9]{2}", text):
        value = f"0{text}"
    elif text or not kind.allow_none:
        value = text
    return value


def _instant(text: str) -> str:
    """Return a time of the school's clock, as `<input type="datetime-local">` has it, in UTC."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone()).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return text


def as_text(value: Any) -> str:
    """Return a stored value as a field of a form has it; the opposite of `json_value`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else ""
    if isinstance(value, Decimal):
        return str(as_number(value))
    if isinstance(value, datetime):
        return f"{value.astimezone(zone()):%Y-%m-%dT%H:%M}"
    return value.isoformat() if isinstance(value, date) else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A field of a form as it is shown."""

    id: str
    name: str
    label: str
    type: str
    values: Sequence[str]
    """What is entered: one text, or those of the boxes that are checked."""
    hint: str = ""
    error: str = ""
    required: bool = False
    options: Options = ()

    @property
    def value(self) -> str:
        """The one text that is entered."""
        return self.values[0] if self.values else ""


@dataclass(frozen=True, slots=True)
class ShownForm:
    """A form as it is shown: its fields, and the version it was made from."""

    inputs: Sequence[Input]
    version: str


@dataclass(frozen=True)
class FieldForm:
    """A form for some fields of a schema, in the order of `labels`."""

    schema: type[Schema]
    labels: Mapping[str, str]
    hints: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Callable[[], Options]] = field(default_factory=dict)
    """The choices of fields that are chosen from a list."""
    references: Mapping[str, Reference] = field(default_factory=dict)
    """The fields with an id in the API, for which people write a code."""
    long: Collection[str] = ()
    """The fields that have several lines."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """The fields of this form at which the errors of other names of the API are said."""
    prefix: str = ""
    """Of the ids of the elements, where a page has another form with the same fields."""
    is_partial: bool = field(default=False, compare=False)
    """Whether the form changes a row, whose other fields keep their values."""

    @cached_property
    def of_changes(self) -> FieldForm:
        """The same form, where it changes a row that exists."""
        return replace(self, is_partial=True)

    def read(self, entered: Entered) -> dict[str, Any]:
        """Return what was entered as values for the service. Raises `ValidationFailed`."""
        schema, values, errors = self._loader, dict[str, Any](), dict[str, Any]()
        for name in self.labels:
            kind, texts = schema.fields[name], entered.getlist(name)
            text = texts[0].strip() if texts else ""
            try:
                if isinstance(kind, List):
                    values[name] = [json_value(kind.inner, text) for text in texts if text]
                elif name in self.references:
                    values[name] = self.references[name].id_of(text) if text else None
                elif text or kind.allow_none or isinstance(kind, Boolean) or self.is_partial:
                    values[name] = json_value(kind, text)
            except ValidationError as error:
                errors[name] = error.messages
        try:
            loaded: dict[str, Any] = schema.load({name: value for name, value in values.items() if name not in errors})
        except ValidationError as error:
            errors = {**error.messages_dict, **errors}
        if errors:
            raise validation_failed(errors)
        return loaded

    @cached_property
    def _loader(self) -> Schema:
        if issubclass(self.schema, ResourceSchema):
            return self.schema.body(partial=self.is_partial)
        return self.schema()

    def errors(self, entered: Entered, problem: Problem) -> Sequence[FieldError]:
        """Return what is wrong about the fields, in their order."""
        labels = self._labels
        sentences: dict[str, str] = {}
        for pointer, detail in of_problem(problem):
            first = pointer.partition("/")[0]
            name = self.aliases.get(first, first)
            if name not in labels and len(labels) == 1:
                (name,) = labels  # the items of a list are not fields
            kind = self._loader.fields.get(name)
            is_empty = not isinstance(kind, List) and not entered.get(name, "").strip()
            is_missing = name in labels and kind is not None and kind.required and is_empty
            sentence = in_words(MISSING if is_missing else detail, labels.get(name, first), labels)
            sentences.setdefault(name if name in labels else "", sentence)
        return [FieldError(name and self.prefix + name, sentences[name]) for name in (*labels, "") if name in sentences]

    @property
    def _labels(self) -> dict[str, str]:
        return {name: _(label) for name, label in self.labels.items()}

    def version(self, row: Any) -> str:
        """Return the first part of the ETag of a row of a resource, as in the API."""
        schema: Any = self.schema
        return fingerprint(schema.editable_values()(row))

    def unchanged(self, entered: Entered, body: Mapping[str, Any]) -> Precondition:
        """Return the check that the row is as it was when the form was made, or already as the form would make it."""

        def check(row: Any) -> None:
            is_done = all(_plain(getattr(row, name)) == _plain(value) for name, value in body.items())
            if not is_done and self.version(row) != entered.get("version"):
                raise PreconditionFailed

        return check

    def shown(
        self,
        row: Any = None,
        *,
        values: Mapping[str, Any] | None = None,
        version: str = "",
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, Options] | None = None,
        without: Collection[str] = (),
    ) -> ShownForm:
        """Return the form with the values of a row or, if it was refused, with what was entered.

        `values` are what fields begin with, where that is not what the row or the schema has; `version` is that of a
        row which is not one of a resource; `labels` and `options` replace those of the form; fields `without` are left
        out.
        """
        refusal = refusal_of(self)
        if row is not None and not version:
            version = self.version(row)
        errors = dict(refusal.errors) if refusal else {}
        version = refusal.entered.get("version", "") if refusal else version
        inputs = [
            replace(
                each,
                label=(labels or {}).get(each.name, each.label),
                options=(options or {}).get(each.name, each.options),
                error=errors.get(each.id, ""),
            )
            for each in self._inputs(row, values or {}, refusal.entered if refusal else None)
            if each.name not in without
        ]
        return ShownForm(inputs, version)

    def _inputs(self, row: Any, values: Mapping[str, Any], entered: Entered | None) -> Iterator[Input]:
        for name, label in self._labels.items():
            kind = self._loader.fields[name]
            options = [*self.options[name]()] if name in self.options else ()
            yield Input(
                id=self.prefix + name,
                name=name,
                label=label,
                type="textarea" if name in self.long else input_type(kind, options),
                values=entered.getlist(name) if entered else self._texts(name, kind, row, values),
                hint=_(self.hints[name]) if name in self.hints else "",
                required=kind.required and not isinstance(kind, Boolean),
                options=options,
            )

    def _texts(self, name: str, kind: Field[Any], row: Any, values: Mapping[str, Any]) -> Sequence[str]:
        """Return what a field begins with."""
        default = values[name] if name in values else kind.load_default if row is None else getattr(row, name)
        if name in self.references and isinstance(default, int):
            return [self.references[name].codes_of([default]).get(default, "")]
        if isinstance(kind, List):
            return [] if callable(default) else [as_text(item) for item in default or ()]
        return [as_text(default) if isinstance(default, str | int | Decimal | date) else ""]


def _plain(value: Any) -> Any:
    """Return a value that can be compared: the items of a list without their order."""
    return value if isinstance(value, str) or not hasattr(value, "__iter__") else sorted(value)


def input_type(kind: Field[Any], options: Options) -> str:
    """Return how a field is shown: the type of an `<input>`, or `select` or `checkboxes`."""
    if isinstance(kind, SetField):
        return "checkboxes"
    if options:
        return "select"
    # Not `number`: browsers change such a field when somebody scrolls, and send nothing for what is not a number.
    return next((name for of_kind, name in INPUT_TYPES if isinstance(kind, of_kind)), "text")


def load(schema: Schema | Field[Any], body: Any) -> Any:
    """Load a body as the API does. Raises `ValidationFailed`."""
    try:
        return schema.load(body) if isinstance(schema, Schema) else schema.deserialize(body)
    except ValidationError as error:
        raise validation_failed(error.messages) from None


def unchanged_list(version: str | None, wanted: Sequence[Any]) -> Precondition:
    """Return the check of a whole list, as `FieldForm.unchanged` is that of a row."""

    def check(present: Sequence[Any]) -> None:
        if list(present) != list(wanted) and fingerprint(present) != version:
            raise PreconditionFailed

    return check
