"""What the views of one application work with, as one typed object."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from flask import Flask, current_app

from pushes.accounts.sources import Sources
from pushes.read import overview
from pushes.store.connection import connect
from pushes.store.ledger import Ledger
from service.metrics.request_times import RequestTimes
from service.push.admission import Admission
from service.push.breaker import Breaker
from service.push.refusals import Refusals
from service.recent import RecentOverview
from service.settings import WebSettings

# Klarna's push client has been seen giving up after 5 s, so a Redis that does not answer must
# become a 503 well before: one retry, for a pooled connection that Redis closed by restarting.
_REDIS_TIMEOUT_S = 0.7
_REDIS_RETRIES = 1

_NAME = "klarna-ack"


@dataclass(frozen=True, slots=True)
class Deps:
    """One of each for a process; its threads share them."""

    settings: WebSettings
    ledger: Ledger
    breaker: Breaker
    admission: Admission
    refusals: Refusals
    request_times: RequestTimes
    sources: Sources
    recent: RecentOverview

    def close(self) -> None:
        """Hand on what is counted, and close the connections to Redis."""
        self.refusals.close()
        self.request_times.close()
        self.ledger.redis.close()


def install(app: Flask, settings: WebSettings) -> Deps:
    """Make what the views of `app` need. Connects to Redis with the first request."""
    redis = connect(settings.redis_url, timeout_s=_REDIS_TIMEOUT_S, retries=_REDIS_RETRIES)
    ledger = Ledger(redis, retention=settings.retention, wait_replicas=settings.wait_replicas)
    deps = Deps(
        settings,
        ledger,
        Breaker(),
        Admission(redis),
        Refusals(redis),
        RequestTimes(redis),
        Sources(settings.trusted_addresses or (), settings.pushes_from),
        RecentOverview(lambda: overview.read(ledger, datetime.now(UTC), settings.tokens)),
    )
    deps.request_times.watch(app)
    app.extensions[_NAME] = deps
    return deps


def of(app: Flask) -> Deps:
    """Return those of an application."""
    return cast(Deps, app.extensions[_NAME])


def current() -> Deps:
    """Return those of the application whose request is answered."""
    return of(current_app)
