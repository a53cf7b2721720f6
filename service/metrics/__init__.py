"""`/metrics`: what Prometheus reads, the same from every web process, for all of it is in Redis.

Numbers are read when they are asked for. What processes count (attempts, calls, requests) they
count in Redis, so workers need no port of their own, and a scrape of one web process tells the
whole truth. docs/metrics.md lists every metric.
"""

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from service import deps
from service.metrics.collector import Everything

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Answer in Prometheus's text format. 503 when Redis does not answer."""
    registry = CollectorRegistry()
    registry.register(Everything(deps.current().ledger))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
