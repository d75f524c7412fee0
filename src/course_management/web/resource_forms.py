"""Forms that change what the API changes: the schema of the API's body loads them, so that both accept the same.

A browser sends text. `json_value` makes of it what a body of the API would have; what the schema then refuses stands at
its field when the form is shown again, with everything that was entered. A hidden field has the version that the form
was made from, like If-Match: a form that is older than what is stored is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from marshmallow import Schema, ValidationError
from marshmallow.fields import Boolean, Field

from ..database.types import as_number
from ..errors import Conflict, PreconditionFailed, Problem, ValidationFailed
from ..http.responses import fingerprint
from ..http.validation_errors import validation_failed
from ..schemas.fields import Credits, Day, Instant, StrictInteger
from ..schemas.resources import ResourceSchema
from ..services import Precondition
from .moments import zone
from .texts import N_, _

REFUSED = (Conflict, ValidationFailed, PreconditionFailed)
"""What a form is shown again for."""
STALE = N_(
    "Somebody has changed this after you opened the form, so nothing was saved. Below is what you entered. Open the "
    "form again to see what is stored now."
)
Entered = Mapping[str, str]


def json_value(kind: Field[Any], text: str) -> Any:
    """Return what the API's body would have where a form has this text. What is malformed stays for the schema."""
    text = text.strip()
    if isinstance(kind, Boolean):
        return text == "true"
    if not text and kind.allow_none:
        return None
    if isinstance(kind, StrictInteger) and re.fullmatch(r"[0-9]{1,15}", text):
        return int(text)
    if isinstance(kind, Credits) and re.fullmatch(r"[0-9]{1,6}([.,][0-9]{1,6})?", text):
        return as_number(Decimal(text.replace(",", ".")))
    if isinstance(kind, Instant):
        return _instant(text)
    return text


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


@dataclass(frozen=True, slots=True)
class Input:
    """A field of a form as it is shown."""

    name: str
    label: str
    hint: str
    type: str
    value: str
    error: str
    required: bool
    options: Sequence[tuple[str, str]] = ()
    """Of a select: pairs of a value and a text."""


class Refusable:
    """What all forms say of a refusal, if there is one."""

    __slots__ = ()
    problem: Problem | None

    @property
    def status(self) -> int:
        """The status of the response."""
        return self.problem.status if self.problem else 200

    @property
    def is_stale(self) -> bool:
        """Whether it was refused because what it changes has changed."""
        return isinstance(self.problem, PreconditionFailed)

    @property
    def detail(self) -> str:
        """Why the form was refused; empty if it was not."""
        if self.problem is None:
            return ""
        if isinstance(self.problem, ValidationFailed):
            return _("Nothing was saved. Correct what is marked below.")
        return _(self.problem.detail)


@dataclass(frozen=True, slots=True)
class Shown(Refusable):
    """A form as it is shown: its fields, the version it was made from, and why it was refused."""

    inputs: Sequence[Input]
    version: str
    problem: Problem | None = None

    @property
    def other_errors(self) -> Sequence[str]:
        """The errors that belong to none of the fields."""
        names = {each.name for each in self.inputs}
        return [text for name, text in errors_by_field(self.problem).items() if name not in names]


def errors_by_field(problem: Problem | None) -> dict[str, str]:
    """Return the errors of a refusal by the names of fields: `ends_on`, or `3/ends_on` in the fourth row of a list."""
    errors: Sequence[Mapping[str, str]] = problem.members.get("errors", ()) if problem else ()
    return {error["pointer"].lstrip("/"): _(error["detail"]) for error in errors}


def load(schema: Schema | Field[Any], body: Any) -> Any:
    """Load a body as the API does. Raises `ValidationFailed`."""
    try:
        return schema.load(body) if isinstance(schema, Schema) else schema.deserialize(body)
    except ValidationError as error:
        raise validation_failed(error.messages) from None


@dataclass(frozen=True)
class ResourceForm:
    """A form for some fields of a resource, in the order of `labels`."""

    schema: type[ResourceSchema]
    labels: Mapping[str, str]
    hints: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Callable[[], Sequence[tuple[str, str]]]] = field(default_factory=dict)
    """The choices of fields that are chosen from a list."""

    def body(self, entered: Entered, *, partial: bool = False) -> dict[str, Any]:
        """Return what was entered as values for the service. Raises `ValidationFailed`.

        With `partial`, other fields of the resource keep their values.
        """
        schema = self.schema.body(partial=partial)
        values = {name: json_value(schema.fields[name], entered.get(name, "")) for name in self.labels}
        loaded: dict[str, Any] = load(schema, values)
        return loaded

    def version(self, row: Any) -> str:
        """Return the first part of the ETag of a row, as in the API."""
        return fingerprint(self.schema.editable_values()(row))

    def unchanged(self, entered: Entered, body: Mapping[str, Any]) -> Precondition:
        """Return the check that the row is as it was when the form was made, or already as the form would make it."""

        def check(row: Any) -> None:
            is_done = all(getattr(row, name) == value for name, value in body.items())
            if not is_done and self.version(row) != entered.get("version"):
                raise PreconditionFailed(_(STALE))

        return check

    def shown(self, row: Any = None, entered: Entered | None = None, problem: Problem | None = None) -> Shown:
        """Return the form with the values of a row or, if it was refused, with what was entered."""
        errors = errors_by_field(problem)
        present = "" if row is None else self.version(row)
        version = (entered or {}).get("version") or present
        return Shown([*self._inputs(row, entered, errors)], version, problem)

    def _inputs(self, row: Any, entered: Entered | None, errors: Mapping[str, str]) -> Iterator[Input]:
        for name, label in self.labels.items():
            kind = self.schema.fields_of()[name]
            default = kind.load_default if row is None else getattr(row, name)
            if entered is not None:
                value = entered.get(name, "")
            else:
                value = as_text(default) if isinstance(default, str | int | Decimal | date) else ""
            options = [(key, text) for key, text in self.options[name]()] if name in self.options else ()
            yield Input(
                name,
                _(label),
                _(self.hints[name]) if name in self.hints else "",
                "select" if name in self.options else _input_type(kind),
                value,
                errors.get(name, ""),
                kind.required and not isinstance(kind, Boolean),
                options,
            )


def _input_type(kind: Field[Any]) -> str:
    if isinstance(kind, Boolean):
        return "checkbox"
    if isinstance(kind, Instant):
        return "datetime-local"
    if isinstance(kind, Day):
        return "date"
    # Not `number`: browsers change such a field when somebody scrolls, and send nothing for what is not a number.
    return "text"


def unchanged_list(version: str | None, wanted: Sequence[Any]) -> Precondition:
    """Return the check of a whole list, as `ResourceForm.unchanged` is that of a row."""

    def check(present: Sequence[Any]) -> None:
        if list(present) != list(wanted) and fingerprint(present) != version:
            raise PreconditionFailed(_(STALE))

    return check
