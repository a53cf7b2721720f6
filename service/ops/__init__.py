"""The operations console under /ops: pages for people, one folder a page.

What they show comes from `pushes.read`, what they do from `pushes.operate`. They work without
JavaScript; with it they renew themselves.
"""

from flask import Blueprint, Flask

from service.ops import (
    accounts,
    audit,
    dead,
    failures,
    gate,
    headers,
    order,
    orders,
    overview,
    page,
    replays,
    settings,
    sign_in,
    workers,
)

PAGES = (sign_in, overview, orders, order, dead, replays, accounts, workers, audit, settings)


def register(app: Flask) -> None:
    """Put the console into an application."""
    console = Blueprint(
        "ops",
        __name__,
        url_prefix="/ops",
        template_folder=".",
        static_folder="layout/static",
        static_url_path="/static",
    )
    page.register(app, console)  # first: it says how the templates are read
    gate.register(app, console)
    headers.register(console)
    failures.register(console)
    for each in PAGES:
        console.register_blueprint(each.blueprint)
    app.register_blueprint(console)
