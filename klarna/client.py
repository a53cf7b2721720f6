"""The Order Management calls, one method each; one HTTP request per call, never a retry.

Trying again is the queue's business: it remembers attempts across processes, a client cannot.
Source: Klarna docs, "View and change orders".
"""

from base64 import b64encode
from collections.abc import Callable
from copy import copy
from types import TracebackType
from typing import Final, Self, TypeVar

from requests.structures import CaseInsensitiveDict

from klarna.answers import Answer, read_acceptance, read_order
from klarna.deadlines import DEFAULT_TIME_LIMITS, TimeLimits
from klarna.errors import Exchange, KlarnaError, Operation
from klarna.failures import failure_of
from klarna.orders import Order, normal_order_id
from klarna.regions import ApiUrl
from klarna.transport import Call, Transport

_ORDERS: Final = "/ordermanagement/v1/orders/"

Result = TypeVar("Result")
Observe = Callable[[Exchange], None]


def _ignore(_exchange: Exchange) -> None:
    pass


class KlarnaClient:
    """Calls Klarna for one merchant account; safe for many threads.

    `pool_size` connections are kept alive; a thread beyond that pays for a new one each time.
    `observe` is called exactly once for each HTTP call, before the result is returned or the
    error raised. Every method raises `KlarnaError` (its subclass is the decision), and ValueError
    before any call for an order id or idempotency key that cannot be one.

    Making one raises ValueError for credentials, a proxy or a CA bundle that cannot be used.
    """

    def __init__(  # noqa: PLR0913 - all of them are one account's settings
        self,
        api_url: ApiUrl,
        username: str,
        password: str,
        *,
        pool_size: int,
        version: str,
        time_limits: TimeLimits = DEFAULT_TIME_LIMITS,
    ) -> None:
        self._headers = CaseInsensitiveDict(
            {
                "User-Agent": f"klarna-ack/{version}",
                "Accept": "application/json",
                "Authorization": _basic(username, password),
            }
        )
        self._transport = Transport(api_url.url, pool_size=pool_size, limits=time_limits)

    def with_credentials(self, username: str, password: str) -> Self:
        """Return a client for another account of the same API, over the same connections.

        It costs next to nothing. Closing either closes the connections of both.
        """
        other = copy(self)
        other._headers = self._with("Authorization", _basic(username, password))  # noqa: SLF001 - it is one of us
        return other

    def get_order(self, order_id: str, *, observe: Observe = _ignore) -> Order:
        """Fetch the order; changes nothing."""
        path = _ORDERS + normal_order_id(order_id)
        call = Call(Operation.GET_ORDER, "GET", path, self._headers)
        return self._send(call, read_order, observe)

    def acknowledge(
        self, order_id: str, *, idempotency_key: str, observe: Observe = _ignore
    ) -> None:
        """Tell Klarna we know the order, which ends its pushes; may be sent twice.

        Klarna remembers the key for 24 hours and answers a repetition as it did the first time.
        """
        path = f"{_ORDERS}{normal_order_id(order_id)}/acknowledge"
        headers = self._with("Klarna-Idempotency-Key", _printable(idempotency_key))
        call = Call(Operation.ACKNOWLEDGE, "POST", path, headers)
        self._send(call, read_acceptance, observe)

    def close(self) -> None:
        """Close the connections; the client is of no use afterwards."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _with(self, name: str, value: str) -> CaseInsensitiveDict[str]:
        headers = self._headers.copy()
        headers[name] = value
        return headers

    def _send(
        self, call: Call, read: Callable[[Answer], tuple[Result, Exchange]], observe: Observe
    ) -> Result:
        try:
            answer = self._transport.send(call)
            try:
                result, exchange = read(answer)
            except MemoryError as error:
                raise failure_of(error, call.operation, answer.elapsed_ms) from error
        except KlarnaError as error:
            if error.exchange:
                observe(error.exchange)
            raise
        observe(exchange)
        return result


def _basic(username: str, password: str) -> str:
    """Return the Authorization header, in UTF-8. Source: RFC 7617."""
    if not username:
        raise ValueError("the user name is empty")
    if ":" in username:
        raise ValueError("the user name must not hold a colon: HTTP Basic ends it there")
    if not password:
        raise ValueError("the password is empty")
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


def _printable(idempotency_key: str) -> str:
    if not idempotency_key or not idempotency_key.isascii() or not idempotency_key.isprintable():
        raise ValueError("an idempotency key is printable ASCII text, at best a UUID")
    return idempotency_key
