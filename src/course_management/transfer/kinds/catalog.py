"""Catalog entries."""

from __future__ import annotations

from ...schemas.catalog import CatalogEntrySchema
from ...services.catalog import CATALOG_RESOURCE as RESOURCE
from ..handlers import ResourceHandler
from ..kind import Kind, of_resource

CATALOG_KIND = Kind(
    "catalog",
    of_resource(CatalogEntrySchema),
    ("external_id",),
    ("code title credits",),
    without="term capacity component",
)


class CatalogHandler(ResourceHandler):
    """Creates and changes catalog entries."""

    kind, resource, schema = CATALOG_KIND, RESOURCE, CatalogEntrySchema
