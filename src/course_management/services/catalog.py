"""Catalog entries and their prerequisites."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..errors import CatalogEntryInUse, CatalogEntryNotFound, CodeTaken, ExternalIdTaken
from ..models import CatalogEntry, courses, prerequisites
from .owned_lists import OwnedList
from .passed_over_marks import reconsider_courses
from .resources import Resource


def _check(entry: CatalogEntry) -> Iterator[tuple[str, str]]:
    if entry.credits_max is not None and entry.credits_max < entry.credits:
        yield "credits_max", "Must not be less than credits."


def _reconsider(session: Session, catalog_id: int) -> None:
    offering = select(courses.c.id).where(courses.c.catalog_id == catalog_id, courses.c.waiting > 0)
    reconsider_courses(session, session.scalars(offering).all())


CATALOG_RESOURCE = Resource(
    model=CatalogEntry,
    not_found=CatalogEntryNotFound,
    refusal_if_taken={"code": CodeTaken, "external_id": ExternalIdTaken},
    in_use=dict.fromkeys(
        ("fk_courses_catalog_id", "fk_prerequisites_required_id", "fk_completions_catalog_id"), CatalogEntryInUse
    ),
    find_errors=_check,
    after_change=lambda session, entry: _reconsider(session, entry.id),
)


def _not_itself(_: Session, entry: CatalogEntry, items: Sequence[tuple[str, Any]]) -> Iterator[dict[str, str]]:
    for pointer, item in items:
        if item["catalog_id"] == entry.id:
            yield {"pointer": f"{pointer}/catalog_id", "detail": "An entry cannot require itself."}


PREREQUISITE_LIST = OwnedList(
    owner=CATALOG_RESOURCE,
    table=prerequisites,
    column="catalog_id",
    alternatives_column="group_number",
    names=("required_id", "required_group_id", "minimum_points", "minimum_grade", "concurrent_allowed"),
    json_names={"required_id": "catalog_id", "required_group_id": "group_id"},
    find_errors=_not_itself,
    after_change=_reconsider,
)
