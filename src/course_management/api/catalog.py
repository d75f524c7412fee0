"""The catalog: subjects and their prerequisites."""

from __future__ import annotations

from typing import Any

from ..access.policy import Access
from ..http.endpoints import Endpoints
from ..repositories.prerequisites import codes_of_required, graph_below
from ..schemas.catalog import (
    PREREQUISITES_EXAMPLE,
    CatalogEntrySchema,
    ChangedPrerequisites,
    Prerequisites,
    PrerequisitesBody,
)
from ..services import prerequisite_graph
from ..services.catalog import CATALOG_RESOURCE, PREREQUISITE_LIST
from ..services.prerequisite_sentence import sentence
from .owned_lists import OwnedListRoutes, Report
from .resources import ResourceAccess, ResourceRoutes

READ_ACCESS, WRITE_ACCESS = Access(scope="courses:read", every_person=True), Access(scope="courses:write")
WARNINGS = {
    "prerequisite_cycle": "These entries require each other. A student can take them only together, where all of it "
    "may be concurrent, or by another alternative.",
    "entry_unreachable": "No student can satisfy the prerequisites of these entries, in whatever order.",
}
endpoints = Endpoints("catalog", __name__, description="The subjects that courses offer, and their prerequisites.")
routes = ResourceRoutes(
    endpoints,
    "catalog_entry",
    CATALOG_RESOURCE,
    CatalogEntrySchema,
    ResourceAccess(list=READ_ACCESS, read=READ_ACCESS, write=WRITE_ACCESS),
)
routes.register()


def warnings_about(catalog_id: int) -> dict[str, Any]:
    """Return the warnings about the prerequisites of an entry: cycles, and that no student can satisfy them."""
    warnings = prerequisite_graph.warnings_about(graph_below(catalog_id), catalog_id)
    return {"warnings": [{"code": code, "detail": WARNINGS[code], "catalog_ids": ids} for code, ids in warnings]}


def in_words(catalog_id: int, content: dict[str, Any]) -> dict[str, Any]:
    """Return the sentence of the prerequisites of an entry."""
    codes = codes_of_required(catalog_id) if content["groups"] else {}
    # A group of prerequisites that another request has just removed has no code, and the next GET does not have it.
    groups = [
        [
            alternative | {"code": codes.get((alternative["catalog_id"], alternative["group_id"]), "?")}
            for alternative in group
        ]
        for group in content["groups"]
    ]
    return {"sentence": sentence(groups)}


OwnedListRoutes(
    owned_list=PREREQUISITE_LIST,
    name="prerequisites",
    title="prerequisites of a catalog entry",
    body=PrerequisitesBody(),
    item=Prerequisites,
    example=PREREQUISITES_EXAMPLE,
    read_access=READ_ACCESS,
    write_access=WRITE_ACCESS,
    description=in_words,
    report=Report(ChangedPrerequisites, warnings_about),
    more=(
        "A student needs one alternative of each group: a completed entry, with `minimum_points` if given, or a group "
        "of students. `warnings` name cycles that the entry is part of, and entries that no student can reach; they "
        "refuse nothing."
    ),
).register(endpoints)
