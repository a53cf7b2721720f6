"""The Order Management calls, one method each; one HTTP request per call, never a retry.

Trying again is the business of whoever calls: a client cannot remember attempts across processes.
Sources: Klarna docs, "View and change orders" and "Capture and track orders" (docs.klarna.com,
order management), and Klarna's OpenAPI file. Where they are silent, it is said to be assumed.
"""

from base64 import b64encode
from collections.abc import Callable, Sequence
from copy import copy
from types import TracebackType
from typing import Self, TypeVar

from requests.structures import CaseInsensitiveDict

from klarna.answers import (
    Answer,
    CreatedCapture,
    read_acceptance,
    read_capture,
    read_order,
    read_order_details,
    without,
)
from klarna.calls import Call, Exchange, Operation
from klarna.deadlines import DEFAULT_TIME_LIMITS, TimeLimits
from klarna.documents import (
    AddedShippingInfo,
    Address,
    AuthorizationUpdate,
    CaptureRequest,
    CustomerDetails,
    MerchantReferences,
    OrderDetails,
    ShippingInfo,
)
from klarna.errors import KlarnaError
from klarna.failures import failure_of
from klarna.orders import Order
from klarna.regions import ApiUrl
from klarna.transport import Transport

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

    Klarna remembers an `idempotency_key` for 24 hours, looks at nothing else of the request, and
    answers a repetition as it did the first time. So a key belongs to one order, operation and
    body, and is used again only when nobody knows whether the call took effect: `TransientError`,
    `LocalError`. A new attempt after a refusal needs a new key.

    Making one raises ValueError for credentials, a proxy or a CA bundle that cannot be used.
    """

    def __init__(  # noqa: PLR0913 - all of them are one account's settings
        self,
        api_url: ApiUrl,
        username: str,
        password: str,
        *,
        pool_size: int = 10,
        user_agent: str = "klarna-ack",
        time_limits: TimeLimits = DEFAULT_TIME_LIMITS,
    ) -> None:
        self._secrets = _secrets(username, password)
        self._headers = CaseInsensitiveDict(
            {
                "User-Agent": user_agent,
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
        other._secrets = _secrets(username, password)  # noqa: SLF001 - it is one of us
        other._headers = self._headers.copy()  # noqa: SLF001 - as above
        other._headers["Authorization"] = _basic(username, password)  # noqa: SLF001 - as above
        return other

    def get_order(self, order_id: str, *, observe: Observe = _ignore) -> Order:
        """Fetch what tells whether an order is authentic, open and worth how much.

        Changes nothing. Reads any order that has an id and a status: an odd field is None, however
        odd it is. Klarna shows an order for three years.
        """
        return self._send(Call(Operation.GET_ORDER, order_id), read_order, observe)

    def get_order_details(self, order_id: str, *, observe: Observe = _ignore) -> OrderDetails:
        """Fetch the whole order, persons and lines included. Changes nothing.

        A field of another type than Klarna documents makes it a TransientError that names the
        field; `get_order` reads that order all the same.
        """
        return self._send(Call(Operation.GET_ORDER, order_id), read_order_details, observe)

    def acknowledge(
        self, order_id: str, *, idempotency_key: str, observe: Observe = _ignore
    ) -> None:
        """Tell Klarna that the order is known, which ends its pushes.

        May be sent twice (assumed; the largest shop plugin does). NotAllowedError for an order
        that is cancelled, expired or closed (assumed).
        """
        call = Call(Operation.ACKNOWLEDGE, order_id)
        self._write(call, idempotency_key, read_acceptance, observe)

    def update_authorization(
        self,
        order_id: str,
        update: AuthorizationUpdate,
        *,
        idempotency_key: str,
        observe: Observe = _ignore,
    ) -> None:
        """Set the amount of an order anew, in minor units, and replace its lines.

        The lines sent replace all lines the order has; with none sent, those are deleted. Klarna
        recommends to send them always: the customer sees them in the app and on the invoice.

        Klarna refuses (NotAllowedError):

        - an order that is fully captured, cancelled or expired;
        - less than was captured already;
        - an increase that a new risk assessment, perhaps a credit check, does not grant: then the
          customer places a new order for what was added;
        - an increase of a payment method that has none. These have: INVOICE, B2B_INVOICE,
          BASE_ACCOUNT and DIRECT_DEBIT in all markets but CH; FIXED_AMOUNT in AT, DE, DK, FI, FR,
          NL, NO and SE (`OrderDetails.initial_payment_method`).

        Source: Klarna docs, "Update order amount".
        """
        call = Call(Operation.UPDATE_AUTHORIZATION, order_id, update.to_json())
        self._write(call, idempotency_key, read_acceptance, observe)

    def update_merchant_references(
        self,
        order_id: str,
        references: MerchantReferences,
        *,
        idempotency_key: str,
        observe: Observe = _ignore,
    ) -> None:
        """Set the shop's own references, at most 255 characters each.

        One that is left out stays as it is; `""` clears it. `merchant_reference1` is the order
        number that the customer sees. NotAllowedError for a cancelled order. Set them before the
        order is acknowledged: after that Klarna does not push again, so that a program that dies
        in between would never come back to it.

        Source: Klarna docs, "Update merchant references".
        """
        call = Call(Operation.UPDATE_MERCHANT_REFERENCES, order_id, references.to_json())
        self._write(call, idempotency_key, read_acceptance, observe)

    def update_customer_details(
        self,
        order_id: str,
        shipping_address: Address,
        *,
        idempotency_key: str,
        observe: Observe = _ignore,
    ) -> None:
        """Change the shipping address, field by field.

        A field that is left out stays as it is; `""` clears it, unless it is mandatory
        (RejectedError). The customer goes through another credit check, so Klarna may refuse
        (NotAllowedError), as it does for a cancelled, expired or closed order (assumed). The
        billing address cannot be changed any more.

        Source: Klarna docs, "Update customer address".
        """
        details = CustomerDetails(shipping_address=shipping_address)
        call = Call(Operation.UPDATE_CUSTOMER_DETAILS, order_id, details.to_json())
        self._write(call, idempotency_key, read_acceptance, observe)

    def add_shipping_info(
        self,
        order_id: str,
        shipping_info: Sequence[ShippingInfo],
        *,
        idempotency_key: str,
        observe: Observe = _ignore,
    ) -> None:
        """Add parcels to the order, 1 to 500; those that Klarna knows stay.

        Meant for what is known before the capture. A text that is too long is a RejectedError
        that names the field. NotAllowedError for an order that is closed (assumed).

        Source: Klarna docs, "Add shipping information to order".
        """
        added = AddedShippingInfo(shipping_info=list(shipping_info))
        call = Call(Operation.ADD_SHIPPING_INFO, order_id, added.to_json())
        self._write(call, idempotency_key, read_acceptance, observe)

    def cancel(self, order_id: str, *, idempotency_key: str, observe: Observe = _ignore) -> None:
        """Cancel an order that has no capture; the amount is released. It cannot be undone.

        NotAllowedError for an order with a capture, and for one that is expired or closed. No call
        but a GET is allowed on it afterwards.

        Source: Klarna docs, "Cancel an order".
        """
        call = Call(Operation.CANCEL, order_id)
        self._write(call, idempotency_key, read_acceptance, observe)

    def capture(
        self,
        order_id: str,
        request: CaptureRequest,
        *,
        idempotency_key: str,
        observe: Observe = _ignore,
    ) -> CreatedCapture:
        """Take the amount, or a part of it, in minor units; the customer is charged.

        At most what remains authorized; several captures are allowed until nothing does. Capture
        when the goods are sent, and at the latest when the order expires. It also acknowledges the
        order. The shipping address is the order's.

        NotAllowedError for more than remains authorized, and for an order that is cancelled,
        expired or closed.

        Source: Klarna docs, "Capture the full order amount", "Capture part of the order amount".
        """
        call = Call(Operation.CAPTURE, order_id, request.to_json())
        return self._write(call, idempotency_key, read_capture, observe)

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

    def _write(
        self,
        call: Call,
        idempotency_key: str,
        read: Callable[[Answer], tuple[Result, Exchange]],
        observe: Observe,
    ) -> Result:
        headers = self._headers.copy()
        headers["Klarna-Idempotency-Key"] = _printable(idempotency_key)
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        return self._send(call, read, observe, headers)

    def _send(
        self,
        call: Call,
        read: Callable[[Answer], tuple[Result, Exchange]],
        observe: Observe,
        headers: CaseInsensitiveDict[str] | None = None,
    ) -> Result:
        try:
            answer = self._transport.send(call, headers or self._headers)
            try:
                result, exchange = read(without(self._secrets, answer))
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


def _secrets(username: str, password: str) -> tuple[str, ...]:
    """Return what no error may repeat: the password, and the header that holds it."""
    return password, _basic(username, password).removeprefix("Basic ")


def _printable(idempotency_key: str) -> str:
    if not idempotency_key or not idempotency_key.isascii() or not idempotency_key.isprintable():
        raise ValueError("an idempotency key is printable ASCII text, at best a UUID")
    return idempotency_key
