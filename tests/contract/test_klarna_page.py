"""Klarna's page "View and change orders": our client and the sandbox do what its examples show."""

import json
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from pydantic import ValidationError

from devtools.local.sandbox_control import SandboxControl
from klarna import (
    Address,
    AuthorizationUpdate,
    CaptureRequest,
    KlarnaClient,
    KlarnaError,
    MerchantReferences,
    MisconfigurationError,
    NoSuchOrderError,
    NotAllowedError,
    Operation,
    PermanentError,
    RateLimitedError,
    RejectedError,
    ShippingInfo,
    TransientError,
    resolve_api_url,
)
from klarna.documents import CustomerDetails
from tests.klarna_page import (
    CLEARED_REFERENCE,
    OF_ANY_CALL,
    REFUSALS,
    REQUESTS,
    SHORT_ORDER_ID,
    PageRefusal,
)

ERRORS = {403: NotAllowedError, 404: NoSuchOrderError, 422: RejectedError}

OF_ANY_STATUS = dict.fromkeys(OF_ANY_CALL, TransientError) | {
    "413": RejectedError,
    "429": RateLimitedError,
    "401 of the gateway": MisconfigurationError,
    "404 without a word": NoSuchOrderError,
}

# What no user of our client can send: it is refused before.
UNSENT = [
    refusal
    for refusal in REFUSALS
    if refusal.order_id == SHORT_ORDER_ID or "billing_address" in (refusal.body or {})
]

Make = Callable[[KlarnaClient, str, bytes, str], object]

CALLS: dict[Operation, Make] = {
    Operation.GET_ORDER: lambda client, order_id, _, __: client.get_order(order_id),
    Operation.ACKNOWLEDGE: lambda client, order_id, _, key: client.acknowledge(
        order_id, idempotency_key=key
    ),
    Operation.UPDATE_AUTHORIZATION: lambda client, order_id, body, key: client.update_authorization(
        order_id, AuthorizationUpdate.model_validate_json(body), idempotency_key=key
    ),
    Operation.UPDATE_MERCHANT_REFERENCES: lambda client, order_id, body, key: (
        client.update_merchant_references(
            order_id, MerchantReferences.model_validate_json(body), idempotency_key=key
        )
    ),
    Operation.UPDATE_CUSTOMER_DETAILS: lambda client, order_id, body, key: (
        client.update_customer_details(
            order_id,
            Address.model_validate(json.loads(body)["shipping_address"]),
            idempotency_key=key,
        )
    ),
    Operation.ADD_SHIPPING_INFO: lambda client, order_id, body, key: client.add_shipping_info(
        order_id,
        [ShippingInfo.model_validate(one) for one in json.loads(body)["shipping_info"]],
        idempotency_key=key,
    ),
    Operation.CANCEL: lambda client, order_id, _, key: client.cancel(order_id, idempotency_key=key),
    Operation.CAPTURE: lambda client, order_id, body, key: client.capture(
        order_id, CaptureRequest.model_validate_json(body), idempotency_key=key
    ),
}


def call(client: KlarnaClient, operation: Operation, order_id: str, body: object) -> object:
    return CALLS[operation](client, order_id, json.dumps(body).encode(), str(uuid4()))


@pytest.fixture
def client(sandbox: SandboxControl) -> Iterator[KlarnaClient]:
    with KlarnaClient(resolve_api_url(sandbox.url), "sandbox", "sandbox") as client:
        yield client


def test_it_makes_every_request(client: KlarnaClient, sandbox: SandboxControl) -> None:
    order_id, other_id = sandbox.create_order(amount=12_500), sandbox.create_order()
    for operation, body in REQUESTS.items():
        call(client, operation, other_id if operation is Operation.CANCEL else order_id, body)

    order = json.loads(client.get_order_details(order_id).model_dump_json(exclude_unset=True))
    assert client.get_order(other_id).status == "CANCELLED"
    assert (order["status"], order["captured_amount"]) == ("CAPTURED", 6000)
    references = REQUESTS[Operation.UPDATE_MERCHANT_REFERENCES]
    assert references
    assert {name: order[name] for name in references} == references
    shown = {"order_amount": 6000, "shipping_address": order["shipping_address"]}
    for operation in (Operation.UPDATE_AUTHORIZATION, Operation.ADD_SHIPPING_INFO):
        shown |= REQUESTS[operation] or {}
    del shown["description"]  # the order does not show it
    assert {name: order[name] for name in shown} == shown
    address = REQUESTS[Operation.UPDATE_CUSTOMER_DETAILS]
    assert address
    assert order["shipping_address"] == order["shipping_address"] | address["shipping_address"]


def test_it_clears_a_reference(client: KlarnaClient, sandbox: SandboxControl) -> None:
    order_id = sandbox.create_order()
    call(client, Operation.UPDATE_MERCHANT_REFERENCES, order_id, CLEARED_REFERENCE)
    assert not client.get_order(order_id).merchant_reference1


@pytest.mark.parametrize(
    "refusal",
    [refusal for refusal in REFUSALS if refusal not in UNSENT],
    ids=lambda each: f"{each.operation} {each.status}",
)
def test_it_tells_a_refusal_with_klarnas_words(
    client: KlarnaClient, sandbox: SandboxControl, refusal: PageRefusal
) -> None:
    order_id = refusal.find_order(sandbox)
    with pytest.raises(PermanentError) as raised:
        call(client, refusal.operation, order_id, refusal.body or REQUESTS[refusal.operation])
    error = raised.value
    assert type(error) is ERRORS[refusal.status]
    assert str(error) == f"HTTP {refusal.status} {refusal.error_code} {refusal.message}"
    assert error.correlation_id == sandbox.requests()[-1]["correlation_id"]


@pytest.mark.parametrize("operation", REQUESTS)
@pytest.mark.parametrize("answer", OF_ANY_CALL)
def test_it_tells_what_any_call_may_be_answered(
    client: KlarnaClient, sandbox: SandboxControl, answer: str, operation: Operation
) -> None:
    fault, params, told = OF_ANY_CALL[answer]
    order_id = sandbox.create_order()
    sandbox.add_fault(fault, operation=operation, params=params)
    with pytest.raises(KlarnaError) as raised:
        call(client, operation, order_id, REQUESTS[operation])
    error, (seen,) = raised.value, sandbox.requests(order_id)
    assert type(error) is OF_ANY_STATUS[answer]
    assert error.exchange
    assert (error.exchange.http_status, error.exchange.error_code, error.exchange.error) == told
    assert error.correlation_id == seen["correlation_id"]
    assert not seen["effect"]


def test_it_sends_neither_half_an_id_nor_a_billing_address(
    client: KlarnaClient, sandbox: SandboxControl
) -> None:
    short, billing = UNSENT
    with pytest.raises(ValueError, match="order id"):
        client.get_order(short.order_id or "")
    with pytest.raises(ValidationError, match="billing_address"):
        CustomerDetails.model_validate(billing.body)
    assert sandbox.requests() == []
