"""Read and replace lists that belong to a resource, as the API has them: meetings, links, windows and others."""

from __future__ import annotations

from typing import Any

from flask import request

from ..repositories import owned_rows
from ..repositories.owned_rows import OwnedRows
from ..repositories.prerequisites import codes_of_required
from ..services import owned_lists
from ..services.catalog import PREREQUISITE_LIST
from ..services.owned_lists import OwnedList
from ..services.prerequisite_sentence import sentence
from .field_forms import unchanged_list
from .texts import N_, _

WORDS = (N_("and"), N_("or"), N_("group"), N_("with"), N_("points"), N_("concurrent allowed"))
"""Those of `prerequisite_sentence`, which are translated one by one."""


def content_of(owned: OwnedList, owner_id: int) -> Any:
    """Return the content of a list. Raises the refusal of an owner that does not exist."""
    return owned.content(rows_of(owned, owner_id))


def rows_of(owned: OwnedList, owner_id: int) -> list[tuple[Any, ...]]:
    """Return the sorted rows of a list, which its version is made of. Raises as `content_of`."""
    table: Any = owned.owner.model.__table__
    rows = owned_rows.all_rows(OwnedRows(table, owned.table, owned.column), owned.columns, owner_id)
    if rows is None:
        raise owned.owner.not_found
    return owned.sorted(rows)


def replace_from_form(owned: OwnedList, owner_id: int, body: Any) -> None:
    """Replace a list by the body of the request's form. Raises `PreconditionFailed` if it has changed since."""
    check = unchanged_list(request.form.get("version"), owned.rows_of(body))
    owned_lists.replace(owned, owner_id, body, check)


def prerequisites_in_words(catalog_id: int) -> str | None:
    """Return the prerequisites of a catalog entry as one sentence; None without any."""
    groups = content_of(PREREQUISITE_LIST, catalog_id)["groups"]
    codes = codes_of_required(catalog_id) if groups else {}
    in_words = [
        [each | {"code": codes.get((each["catalog_id"], each["group_id"]), "?")} for each in group] for group in groups
    ]
    return sentence(in_words, _)
