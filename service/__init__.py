"""The web process: takes pushes in, shows operators what became of them. Never calls Klarna."""

import os
import sys
from collections.abc import Mapping

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from pushes import log
from pushes.settings import EXIT_CONFIGURATION, ConfigurationError
from pushes.store.connection import connect
from pushes.store.ledger import Ledger
from service import errors, health, metrics
from service.push import intake
from service.push.admission import Admission
from service.push.breaker import Breaker
from service.query import TolerantRequest
from service.settings import WebSettings, load

# Klarna's push client has been seen giving up after 5 s, so a Redis that does not answer must
# become a 503 well before: one retry, for a pooled connection that Redis closed by restarting.
_REDIS_TIMEOUT_S = 0.7
_REDIS_RETRIES = 1


def create_app(environment: Mapping[str, str] | None = None) -> Flask:
    """Make the WSGI application from `environment`, by default the process's own.

    Ends the process with exit code 78 when the settings are not usable, naming every problem.
    """
    environment = os.environ if environment is None else environment
    try:
        settings = load(environment)
    except ConfigurationError as error:
        sys.stderr.write(f"klarna-ack web: the configuration is not usable:\n{error}\n")
        sys.exit(EXIT_CONFIGURATION)
    log.configure(settings.log_level, settings.log_format or log.default_form(environment))
    settings.warn_of_missing_tokens()
    return make_app(settings)


def make_app(settings: WebSettings) -> Flask:
    """Make the WSGI application from settings. Connects to Redis with the first request."""
    app = Flask(__name__, static_folder=None)
    app.request_class = TolerantRequest
    app.url_map.merge_slashes = False  # it would redirect, and Klarna does not follow
    redis = connect(settings.redis_url, timeout_s=_REDIS_TIMEOUT_S, retries=_REDIS_RETRIES)
    app.extensions["settings"] = settings
    app.extensions["ledger"] = Ledger(redis)
    app.extensions["breaker"] = Breaker()
    app.extensions["admission"] = Admission(redis)
    if settings.proxy_hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxy_hops, x_proto=0)  # type: ignore[method-assign]  # as werkzeug shows it
    app.register_blueprint(intake.blueprint)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(metrics.blueprint)
    errors.register(app)
    return app
