"""Klarna's Order Management API: calls, orders, errors and regions. Knows nothing of queues.

    client       the calls, one method each
    clients      those of several accounts
    regions      where the API is
    orders       what we read of an order
    errors       the tree, where the class is the decision, and the trace each call leaves
    answers      what an answer means (pure)
    failures     why no answer came (pure)
    transport    one HTTP call, by requests' adapter
    connections  urllib3's, watched and checked
    deadlines    the time limit of a whole call

Whoever uses the package imports from here.
"""

from klarna.client import KlarnaClient, Observe
from klarna.clients import Login, make_clients
from klarna.deadlines import TimeLimits
from klarna.errors import (
    Exchange,
    KlarnaError,
    LocalError,
    MisconfigurationCause,
    MisconfigurationError,
    NoSuchOrderError,
    NotAllowedError,
    Operation,
    PermanentError,
    RateLimitedError,
    RejectedError,
    TransientError,
)
from klarna.orders import CLOSED_STATUSES, Order, parse_order
from klarna.regions import PRESETS, ApiUrl, resolve_api_url

__all__ = [
    "CLOSED_STATUSES",
    "PRESETS",
    "ApiUrl",
    "Exchange",
    "KlarnaClient",
    "KlarnaError",
    "LocalError",
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
