"""Every call that changes an order, against the sandbox: what it does, and when it is refused."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from devtools.local.sandbox_control import SandboxControl
from klarna import (
    Address,
    AuthorizationUpdate,
    CaptureRequest,
    Exchange,
    KlarnaClient,
    MerchantReferences,
    NoSuchOrderError,
    NotAllowedError,
    Operation,
    OrderLine,
    OrderStatus,
    RejectedError,
    ShippingInfo,
    ShippingMethod,
    TransientError,
    resolve_api_url,
)

LINE = OrderLine(name="Spade", quantity=2, unit_price=600, total_amount=1_200, tax_rate=2_500)
UNKNOWN = "00000000-0000-0000-0000-000000000000"


def key() -> str:
    return str(uuid4())


@pytest.fixture
def client(sandbox: SandboxControl) -> Iterator[KlarnaClient]:
    with KlarnaClient(resolve_api_url(sandbox.url), "sandbox", "sandbox") as client:
        yield client


def test_it_replaces_amount_and_lines(client: KlarnaClient, sandbox: SandboxControl) -> None:
    order_id = sandbox.create_order(amount=5_000)
    update = AuthorizationUpdate(order_amount=1_200, order_lines=[LINE], description="less")

    client.update_authorization(order_id, update, idempotency_key=key())

    order = client.get_order_details(order_id)
    assert (order.order_amount, order.original_order_amount) == (1_200, 5_000)
    assert order.order_lines == [LINE]


def test_it_deletes_the_lines_when_told_so(client: KlarnaClient, sandbox: SandboxControl) -> None:
    order_id = sandbox.create_order(amount=5_000)
    assert client.get_order_details(order_id).order_lines
    update = AuthorizationUpdate(order_amount=5_000, order_lines=None)

    client.update_authorization(order_id, update, idempotency_key=key())

    assert client.get_order_details(order_id).order_lines == []


def test_it_sets_keeps_and_clears_references(client: KlarnaClient, sandbox: SandboxControl) -> None:
    order_id = sandbox.create_order()
    both = MerchantReferences(merchant_reference1="1001", merchant_reference2="basket 7")

    client.update_merchant_references(order_id, both, idempotency_key=key())
    second = MerchantReferences(merchant_reference2="")
    client.update_merchant_references(order_id, second, idempotency_key=key())

    order = client.get_order(order_id)
    assert (order.merchant_reference1, order.merchant_reference2 or "") == ("1001", "")


def test_it_changes_the_shipping_address_field_by_field(
    client: KlarnaClient, sandbox: SandboxControl
) -> None:
    order_id = sandbox.create_order()
    before = client.get_order_details(order_id)
    assert before.shipping_address
    new = Address(city="Ankeborg", street_address="Benchgatan 1")

    client.update_customer_details(order_id, new, idempotency_key=key())

    after = client.get_order_details(order_id)
    expected = before.shipping_address.model_copy(update=new.model_dump(exclude_unset=True))
    assert after.shipping_address == expected
    assert after.billing_address == before.billing_address


def test_it_adds_parcels(client: KlarnaClient, sandbox: SandboxControl) -> None:
    order_id = sandbox.create_order()
    parcels = [
        ShippingInfo(tracking_number=number, shipping_method=ShippingMethod.HOME)
        for number in ("1", "2")
    ]

    for parcel in parcels:
        client.add_shipping_info(order_id, [parcel], idempotency_key=key())

    assert client.get_order_details(order_id).shipping_info == parcels


def test_it_cancels(client: KlarnaClient, sandbox: SandboxControl) -> None:
    order_id = sandbox.create_order()

    client.cancel(order_id, idempotency_key=key())

    assert client.get_order_details(order_id).status is OrderStatus.CANCELLED


def test_it_captures_a_part_and_then_the_rest(
    client: KlarnaClient, sandbox: SandboxControl
) -> None:
    order_id = sandbox.create_order(amount=1_200)
    part = CaptureRequest(captured_amount=500, reference="first", order_lines=[LINE])

    first = client.capture(order_id, part, idempotency_key=key())
    assert client.get_order_details(order_id).status is OrderStatus.PART_CAPTURED
    second = client.capture(order_id, CaptureRequest(captured_amount=700), idempotency_key=key())

    order = client.get_order_details(order_id)
    assert (order.status, order.captured_amount) == (OrderStatus.CAPTURED, 1_200)
    assert order.captures
    assert [capture.capture_id for capture in order.captures] == [
        first.capture_id,
        second.capture_id,
    ]
    assert order.captures[0].order_lines == [LINE]
    assert first.location
    assert first.location.endswith(f"/captures/{first.capture_id}")
    assert sandbox.order(order_id)["acknowledged"]


def test_it_repeats_a_capture_whose_answer_was_lost(
    client: KlarnaClient, sandbox: SandboxControl
) -> None:
    order_id = sandbox.create_order(amount=1_200)
    request, same = CaptureRequest(captured_amount=500), key()
    sandbox.add_fault("reset_after_effect", operation="capture", times=1)

    with pytest.raises(TransientError):
        client.capture(order_id, request, idempotency_key=same)
    made = client.capture(order_id, request, idempotency_key=same)

    order = client.get_order_details(order_id)
    assert order.captures
    assert [capture.capture_id for capture in order.captures] == [made.capture_id]


Change = Callable[[KlarnaClient, str], object]

CHANGES: dict[Operation, Change] = {
    Operation.UPDATE_AUTHORIZATION: lambda client, order_id: client.update_authorization(
        order_id,
        AuthorizationUpdate(order_amount=1, order_lines=[LINE]),
        idempotency_key=key(),
    ),
    Operation.UPDATE_MERCHANT_REFERENCES: lambda client, order_id: (
        client.update_merchant_references(
            order_id, MerchantReferences(merchant_reference1="1"), idempotency_key=key()
        )
    ),
    Operation.UPDATE_CUSTOMER_DETAILS: lambda client, order_id: client.update_customer_details(
        order_id, Address(city="Ankeborg"), idempotency_key=key()
    ),
    Operation.ADD_SHIPPING_INFO: lambda client, order_id: client.add_shipping_info(
        order_id, [ShippingInfo(tracking_number="1")], idempotency_key=key()
    ),
    Operation.CANCEL: lambda client, order_id: client.cancel(order_id, idempotency_key=key()),
    Operation.CAPTURE: lambda client, order_id: client.capture(
        order_id, CaptureRequest(captured_amount=1), idempotency_key=key()
    ),
}


@pytest.mark.parametrize("operation", CHANGES)
def test_it_is_refused_for_a_cancelled_order_and_for_none(
    client: KlarnaClient, sandbox: SandboxControl, operation: Operation
) -> None:
    cancelled = sandbox.create_order(status="CANCELLED")
    with pytest.raises(NotAllowedError) as refused:
        CHANGES[operation](client, cancelled)
    with pytest.raises(NoSuchOrderError) as unknown:
        CHANGES[operation](client, UNKNOWN)

    heard = [sandbox.requests(order_id)[-1] for order_id in (cancelled, UNKNOWN)]
    assert [one["operation"] for one in heard] == [operation, operation]
    assert [refused.value.correlation_id, unknown.value.correlation_id] == [
        one["correlation_id"] for one in heard
    ]


@pytest.mark.parametrize(
    ("change", "expected", "said"),
    [
        (
            lambda client, order_id: client.update_authorization(
                order_id,
                AuthorizationUpdate(order_amount=499, order_lines=None),
                idempotency_key=key(),
            ),
            NotAllowedError,
            "cannot be less than the captured amount",
        ),
        (CHANGES[Operation.CANCEL], NotAllowedError, "Order has previous captures"),
        (
            lambda client, order_id: client.capture(
                order_id, CaptureRequest(captured_amount=701), idempotency_key=key()
            ),
            NotAllowedError,
            "Capture not allowed",
        ),
        (
            lambda client, order_id: client.add_shipping_info(
                order_id, [ShippingInfo(shipping_company="x" * 101)], idempotency_key=key()
            ),
            RejectedError,
            "shipping_info/shipping_company value must be between 0 and 100",
        ),
        (
            lambda client, order_id: client.update_customer_details(
                order_id, Address(street_address=""), idempotency_key=key()
            ),
            RejectedError,
            "address is invalid",
        ),
    ],
    ids=["below what was captured", "cancel", "capture", "too long", "a mandatory field"],
)
def test_it_says_why_klarna_refuses(
    client: KlarnaClient,
    sandbox: SandboxControl,
    change: Change,
    expected: type[Exception],
    said: str,
) -> None:
    order_id = sandbox.create_order(amount=1_200)
    client.capture(order_id, CaptureRequest(captured_amount=500), idempotency_key=key())
    with pytest.raises(expected, match=said):
        change(client, order_id)


def test_it_leaves_a_trace_of_each_call(client: KlarnaClient, sandbox: SandboxControl) -> None:
    order_id = sandbox.create_order()
    seen: list[Exchange] = []

    client.capture(
        order_id, CaptureRequest(captured_amount=1), idempotency_key="key-1", observe=seen.append
    )

    heard = sandbox.requests(order_id)[-1]
    assert heard["idempotency_key"] == "key-1"
    assert [(one.operation, one.http_status, one.correlation_id) for one in seen] == [
        (Operation.CAPTURE, 201, heard["correlation_id"])
    ]
