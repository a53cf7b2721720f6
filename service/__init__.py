"""The web process: takes pushes in, shows operators what became of them. Never calls Klarna."""

import atexit
import os
import sys
from collections.abc import Mapping
from contextlib import suppress

from flask import Flask
from redis.exceptions import RedisError
from werkzeug.middleware.proxy_fix import ProxyFix

from pushes import log
from pushes.settings import ConfigurationError, complain
from pushes.store.server import rights
from pushes.store.server.rights import Role
from service import api, changes, deps, errors, health, metrics, ops
from service.notification import intake as notification
from service.push import intake
from service.query import TolerantRequest
from service.settings import WebSettings, load


def create_app(environment: Mapping[str, str] | None = None) -> Flask:
    """Make the WSGI application from `environment`, by default the process's own.

    Ends the process with exit code 78 when the settings are not usable, naming every problem.
    """
    environment = os.environ if environment is None else environment
    try:
        settings = load(environment)
    except ConfigurationError as error:
        sys.exit(complain("web", error))
    log.configure(settings.log_level, settings.log_format or log.default_form(environment))
    return make_process(settings)


def make_process(settings: WebSettings) -> Flask:
    """Make the WSGI application of a process, and say what an operator should know of it."""
    settings.warn_of_missing_tokens()
    app = make_app(settings)
    with app.app_context():
        found = deps.current()
    atexit.register(found.close)
    with suppress(RedisError):  # that it does not answer, the first push tells
        rights.log_missing_rights(found.ledger.redis, Role.WEB)
    return app


def make_app(settings: WebSettings) -> Flask:
    """Make the WSGI application from settings. Connects to Redis with the first request."""
    app = Flask(__name__, static_folder=None)
    app.request_class = TolerantRequest
    app.url_map.merge_slashes = False  # it would redirect, and Klarna does not follow
    deps.install(app, settings)
    if settings.proxy_hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxy_hops, x_proto=0)  # type: ignore[method-assign]  # as werkzeug shows it
    app.register_blueprint(intake.blueprint)
    app.register_blueprint(notification.blueprint)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(metrics.blueprint)
    api.register(app)  # before the console, which answers every other address below /ops
    ops.register(app)
    changes.confirm_all(app)
    errors.register(app)
    return app
