"""Terms."""

from __future__ import annotations

from ...schemas.terms import TermSchema
from ...services.terms import TERM_RESOURCE as RESOURCE
from ..handlers import ResourceHandler
from ..kind import Kind, of_resource

TERM_KIND = Kind("terms", of_resource(TermSchema), ("external_id",), ("code starts_on ends_on",))


class TermHandler(ResourceHandler):
    """Creates and changes terms."""

    kind, resource, schema = TERM_KIND, RESOURCE, TermSchema
