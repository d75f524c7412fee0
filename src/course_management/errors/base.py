"""The base classes of errors: what the documentation says about each code, and what one occurrence adds to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar


class ErrorCode:
    """The documentation of a code: its title, what it means, and what to do about it."""

    code: ClassVar[str]
    title: ClassVar[str]
    meaning: ClassVar[str]
    remedy: ClassVar[str]
    example: ClassVar[Mapping[str, Any]] = {}
    """What one occurrence adds to the response, for the documentation."""

    @classmethod
    def slug(cls) -> str:
        """Return the code as it stands in a URL."""
        return cls.code.replace("_", "-")


class Problem(ErrorCode, Exception):
    """A request that is not carried out. Nothing of it was applied.

    `detail` is the sentence about this occurrence (default: the meaning of the code); `members` are
    extension members of the response (RFC 9457); `headers` are sent along.
    """

    status: ClassVar[int]
    always: ClassVar[Mapping[str, str]] = {}
    """Headers of every response with this code."""

    def __init__(self, detail: str | None = None, *, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail or self.meaning)
        self.detail = detail or self.meaning
        self.headers = {**self.always, **(headers or {})}
        self.members = members


class Conflict(Problem):
    """Base of the refusals by a rule: the request is valid, and the present state forbids it."""

    status = 409


class CodeTaken(Conflict):
    code, title = "code_taken", "Code taken"
    meaning = (
        "Another row of this resource has this code. Codes of courses are unique within their term, and among courses "
        "without a term; those of groups within their kind."
    )
    remedy = "Use another code, or the row that has it: `existing_id`, for callers that may read the resource."


class ExternalIdTaken(Conflict):
    code, title = "external_id_taken", "External id taken"
    meaning = "Another row of this resource has this external_id."
    remedy = "Use another external_id, or the row that has it: `existing_id`, for callers that may read the resource."


class Reason(ErrorCode):
    """Why a student cannot enroll in one course. `facts` are the figures behind it, members of the reason."""

    def __init__(self, **facts: Any) -> None:
        self.facts = facts

    def describe(self) -> str:
        """Return the sentence about this course."""
        return self.meaning

    def as_dict(self) -> dict[str, Any]:
        """Return the reason as the contract has it."""
        return {"code": self.code, "detail": self.describe(), **self.facts}


def all_codes() -> dict[str, type[ErrorCode]]:
    """Return every code with the class that explains it: problems, reasons, and the rules of registration."""

    def leaves(cls: type[ErrorCode]) -> Iterator[type[ErrorCode]]:
        if "code" in vars(cls):
            yield cls
        for child in cls.__subclasses__():
            yield from leaves(child)

    class_by_code: dict[str, type[ErrorCode]] = {}
    for cls in leaves(ErrorCode):
        class_by_code.setdefault(cls.code, cls)
    return class_by_code
