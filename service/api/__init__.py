"""The JSON API under /ops/api/v1: what the console shows and does, for scripts and dashboards.

Described by OpenAPI at /ops/api/v1/openapi.json, from the same schemas that validate requests and
answers. Lists are paged by cursors; every answer has an ETag, so that who polls may ask for what
has changed. Whoever asks has a bearer token.
"""

from flask import Blueprint, Flask

from service.api import (
    accounts,
    audit,
    dead_letters,
    document,
    gate,
    orders,
    overview,
    runs,
    settings,
)

PREFIX = "/ops/api/v1"

PARTS = (overview, orders, dead_letters, runs, accounts, audit, settings)


def register(app: Flask) -> None:
    """Put the API into an application."""
    api = Blueprint("api", __name__, url_prefix=PREFIX)
    gate.register(api)
    for part in PARTS:
        api.register_blueprint(part.blueprint)
    document.register(api)
    app.register_blueprint(api)
