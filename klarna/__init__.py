"""Klarna's Order Management API: calls, orders, errors and regions. Knows nothing of queues.

    client       the calls, one method each
    clients      those of several accounts
    regions      where the API is
    orders       what we read of an order
    errors       the tree: the class is the decision
    exchange     the trace one call leaves
    answers      an answer as it came (pure)
    results      what a call came to (pure)
    refusals     what a no of Klarna means (pure)
    failures     why no answer came (pure)
    transport    one HTTP call
    adapter      requests, made for one host
    pools        connections kept alive, with TLS and proxies; sends on them
    connections  watched by the deadlines
    deadlines    the time limit of a whole call
    reading      an answer, read off its socket
    oddities     the answers http.client has to read
    received     what comes out of a connection
    wire         bytes of a request and of a plain head (pure)

Whoever uses the package imports from here.
"""

from klarna.client import KlarnaClient, Observe
from klarna.clients import Login, make_clients
from klarna.deadlines import TimeLimits
from klarna.errors import (
    KlarnaError,
    MisconfigurationCause,
    MisconfigurationError,
    NoSuchOrderError,
    NotAllowedError,
    PermanentError,
    RateLimitedError,
    RejectedError,
    TransientError,
)
from klarna.exchange import Exchange, Operation
from klarna.orders import CLOSED_STATUSES, Order, parse_order
from klarna.regions import PRESETS, ApiUrl, resolve_api_url

__all__ = [
    "CLOSED_STATUSES",
    "PRESETS",
    "ApiUrl",
    "Exchange",
    "KlarnaClient",
    "KlarnaError",
    "Login",
    "MisconfigurationCause",
    "MisconfigurationError",
    "NoSuchOrderError",
    "NotAllowedError",
    "Observe",
    "Operation",
    "Order",
    "PermanentError",
    "RateLimitedError",
    "RejectedError",
    "TimeLimits",
    "TransientError",
    "make_clients",
    "parse_order",
    "resolve_api_url",
]
