"""Search by words (`q`): one normalized column beside the columns that are searched.

Both databases compare by code point, and SQLite folds ASCII only, so the words are folded here: NFKC and casefold.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, SQLColumnExpression, Text, and_, event, inspect, true
from sqlalchemy.orm import Mapped, MappedColumn, Mapper, mapped_column


def normalized(text: str) -> str:
    """Return the text in the form in which words are compared."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def search_text_of(values: Iterable[str | None]) -> str:
    """Return what a `search_text` column holds for these values of the searched columns, in their order."""
    return normalized(" ".join(filter(None, values)))


def contains_words(column: SQLColumnExpression[Any], words: str) -> ColumnElement[bool]:
    """Return the condition that a `search_text` column contains each of the words, in any order, also as parts."""
    return and_(true(), *(column.contains(word, autoescape=True) for word in normalized(words).split()))


class Searchable:
    """A model with a `search_text` of its columns `searched`.

    It is computed by each INSERT of SQLAlchemy and by each change to an object. An UPDATE statement has to set it
    (`search_text_of`). Rows written by hand need not: they are not found by words until the service changes them.
    """

    searched: ClassVar[tuple[str, ...]]
    search_text: Mapped[str | None]


def search_column(*searched: str) -> MappedColumn[str | None]:
    """Return the column `search_text`, whose value an INSERT takes from the columns `searched`."""

    def value(context: Any) -> str:
        values = context.get_current_parameters()
        return search_text_of(values.get(name) for name in searched)

    return mapped_column(Text, default=value, deferred=True)


@event.listens_for(Searchable, "before_update", propagate=True)
def _update_search_text(_: Mapper[Any], __: Any, target: Searchable) -> None:
    attributes = inspect(target).attrs
    if any(attributes[name].history.has_changes() for name in target.searched):
        target.search_text = search_text_of(getattr(target, name) for name in target.searched)
