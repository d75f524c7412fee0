"""Metrics for Prometheus."""

from __future__ import annotations

from flask import Response

from ..access.policy import Access
from ..http.endpoints import Endpoints, responds

endpoints = Endpoints("metrics", __name__, description="For monitoring.")


@endpoints.declare("GET", "/metrics", Access(scope="metrics:read"))
@responds(200, files=("text/plain",))
def get_metrics() -> Response:
    """Report the metrics of all worker processes in Prometheus's text format.

    The page docs/observability.md explains each metric. While the service is overloaded, this request waits or is
    refused like any other; the port `METRICS_PORT` is independent of the request queue.
    """
    from ..metrics import exposition  # noqa: PLC0415 - see `metrics.start`

    return Response(exposition.text(), content_type=exposition.MEDIA_TYPE)
