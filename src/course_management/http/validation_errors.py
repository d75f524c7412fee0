"""Say what is not valid in a request: a JSON pointer and a sentence for each place, all at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from ..errors import ValidationFailed

MAX_NAME = 100
"""Characters of an unknown field's name that are repeated in the response."""


def validation_failed(messages: Any) -> ValidationFailed:
    """Return the refusal for marshmallow's messages: a text, or a dict or list that is nested as the document is."""
    return ValidationFailed(errors=list(islice(_pointers(messages, ""), ValidationFailed.max_errors)))


def _pointers(messages: Any, path: str) -> Iterator[dict[str, str]]:
    if isinstance(messages, Mapping):
        # Ordered: marshmallow keeps unknown names in a set, and the same error must get the same response.
        for key, value in sorted(messages.items(), key=lambda item: (isinstance(item[0], str), item[0])):
            yield from _pointers(value, path if key == "_schema" else f"{path}/{_token(key)}")
    else:
        for message in messages if isinstance(messages, list) else [messages]:
            yield {"pointer": path, "detail": str(message)}


def _token(key: Any) -> str:
    """Return a step of a JSON pointer. The name of an unknown field is the client's, so it is cut."""
    return printable(str(key)[:MAX_NAME]).replace("~", "~0").replace("/", "~1")


def printable(text: str) -> str:
    """Return a client's text without lone surrogates, which JSON in UTF-8 cannot carry."""
    return text.encode("utf-8", "replace").decode()
