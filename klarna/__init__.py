"""Klarna's Order Management API: calls, orders, errors and regions. Knows nothing of queues.

    client       the calls, one method each
    clients      those of several accounts
    regions      where the API is
    calls        how each call is made, and the trace it leaves (pure)
    documents    what calls take and give, as pydantic models
    orders       what is read of an order to verify it (pure)
    errors       the tree: the class is the decision
    answers      what an answer means (pure)
    failures     why no answer came (pure)
    transport    one HTTP call, by requests' adapter
    connections  urllib3's, watched and checked
    deadlines    the time limit of a whole call

Whoever uses the package imports from here. docs/klarna-client.md shows how.
"""

from klarna.answers import CreatedCapture
from klarna.calls import Call, Exchange, Operation
from klarna.client import KlarnaClient, Observe
from klarna.clients import Login, make_clients
from klarna.deadlines import TimeLimits
from klarna.documents import (
    Address,
    AuthorizationUpdate,
    Capture,
    CaptureRequest,
    Customer,
    FraudStatus,
    InitialPaymentMethod,
    MerchantReferences,
    OrderDetails,
    OrderLine,
    OrderLineType,
    OrderStatus,
    ProductIdentifiers,
    Refund,
    ShippingInfo,
    ShippingMethod,
    Subscription,
)
from klarna.errors import (
    KlarnaError,
    LocalError,
    MisconfigurationCause,
    MisconfigurationError,
    NoSuchOrderError,
    NotAllowedError,
    PermanentError,
    RateLimitedError,
    RejectedError,
    TransientError,
)
from klarna.orders import Order, parse_order
from klarna.regions import PRESETS, ApiUrl, resolve_api_url

__all__ = [
    "PRESETS",
    "Address",
    "ApiUrl",
    "AuthorizationUpdate",
    "Call",
    "Capture",
    "CaptureRequest",
    "CreatedCapture",
    "Customer",
    "Exchange",
    "FraudStatus",
    "InitialPaymentMethod",
    "KlarnaClient",
    "KlarnaError",
    "LocalError",
    "Login",
    "MerchantReferences",
    "MisconfigurationCause",
    "MisconfigurationError",
    "NoSuchOrderError",
    "NotAllowedError",
    "Observe",
    "Operation",
    "Order",
    "OrderDetails",
    "OrderLine",
    "OrderLineType",
    "OrderStatus",
    "PermanentError",
    "ProductIdentifiers",
    "RateLimitedError",
    "Refund",
    "RejectedError",
    "ShippingInfo",
    "ShippingMethod",
    "Subscription",
    "TimeLimits",
    "TransientError",
    "make_clients",
    "parse_order",
    "resolve_api_url",
]
