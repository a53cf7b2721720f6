"""The client against the sandbox: the two calls as Klarna answers them, and every fault."""

from collections.abc import Callable
from typing import Any

import pytest

from devtools.local.sandbox_control import SandboxControl
from klarna import (
    Exchange,
    KlarnaClient,
    KlarnaError,
    MisconfigurationCause,
    MisconfigurationError,
    NoSuchOrderError,
    NotAllowedError,
    Observe,
    RateLimitedError,
    RejectedError,
    TimeLimits,
    TransientError,
    resolve_api_url,
)

SHORT = TimeLimits(connect_s=5, read_s=0.5, total_s=1)


def client_of(sandbox: SandboxControl, credentials: str = "sandbox") -> KlarnaClient:
    return KlarnaClient(
        resolve_api_url(sandbox.url),
        credentials,
        credentials,
        pool_size=1,
        user_agent="klarna-ack/1",
        time_limits=SHORT,
    )


def test_it_verifies_and_acknowledges(sandbox: SandboxControl) -> None:
    order_id = sandbox.create_order(amount=12500, currency="SEK")
    seen: list[Exchange] = []

    with client_of(sandbox) as client:
        order = client.get_order(order_id, observe=seen.append)
        client.acknowledge(order_id, idempotency_key="key-1", observe=seen.append)

    assert (order.order_id, order.status) == (order_id, "AUTHORIZED")
    assert (order.order_amount, order.purchase_currency) == (12500, "SEK")
    assert sandbox.order(order_id)["acknowledge_effects"] == 1
    heard = sandbox.requests(order_id)
    assert [(one["operation"], one["idempotency_key"]) for one in heard] == [
        ("get_order", None),
        ("acknowledge", "key-1"),
    ]
    assert {one["user_agent"] for one in heard} == {"klarna-ack/1"}
    assert [one["correlation_id"] for one in heard] == [one.correlation_id for one in seen]
    assert [(one.operation, one.http_status) for one in seen] == [
        ("get_order", 200),
        ("acknowledge", 204),
    ]


def test_it_takes_the_answer_to_a_repetition(sandbox: SandboxControl) -> None:
    order_id = sandbox.create_order()
    sandbox.add_fault("reset_after_effect", operation="acknowledge", times=1)

    with client_of(sandbox) as client:
        with pytest.raises(TransientError, match="connection reset"):
            client.acknowledge(order_id, idempotency_key="key-1")
        client.acknowledge(order_id, idempotency_key="key-1")

    assert sandbox.order(order_id)["acknowledge_effects"] == 1


def test_it_tells_a_closed_order_from_an_unknown_one(sandbox: SandboxControl) -> None:
    order_id = sandbox.create_order(status="CANCELLED")
    with client_of(sandbox) as client:
        assert client.get_order(order_id).status == "CANCELLED"
        with pytest.raises(NotAllowedError):
            client.acknowledge(order_id, idempotency_key="key-1")
        with pytest.raises(NoSuchOrderError):
            client.get_order("00000000-0000-0000-0000-000000000000")


def test_it_blames_wrong_credentials(sandbox: SandboxControl) -> None:
    order_id = sandbox.create_order()
    with client_of(sandbox, "stranger") as client, pytest.raises(MisconfigurationError) as caught:
        client.get_order(order_id)
    assert caught.value.cause is MisconfigurationCause.WRONG_CREDENTIALS


FAULTS: list[tuple[str, dict[str, Any], type[KlarnaError]]] = [
    ("status", {"status": 503}, TransientError),
    ("status", {"status": 409}, TransientError),
    ("status", {"status": 422}, RejectedError),
    ("rate_limited", {"retry_after_s": 7}, RateLimitedError),
    ("timeout_before_effect", {"hold_s": 30}, TransientError),
    ("timeout_after_effect", {"hold_s": 30}, TransientError),
    ("reset_before_effect", {}, TransientError),
    ("reset_after_effect", {}, TransientError),
    ("unauthorized_html", {}, MisconfigurationError),
    ("forbidden_html", {}, MisconfigurationError),
    ("redirect", {"location": "https://klarna.test/"}, MisconfigurationError),
    ("empty_404", {}, NoSuchOrderError),
    ("html_404", {}, MisconfigurationError),
    ("no_such_order", {}, NoSuchOrderError),
    ("no_error_code", {"status": 400}, RejectedError),
    ("truncated_json", {}, TransientError),
    ("short_body", {}, TransientError),
    ("drip", {"byte_interval_s": 0.2}, TransientError),
    ("drip_headers", {"byte_interval_s": 0.2}, TransientError),
    ("not_json_200", {}, TransientError),
    ("huge_body", {"size_bytes": 9 * 1024 * 1024}, TransientError),
]


CALLS: dict[str, Callable[[KlarnaClient, str, Observe], object]] = {
    "get_order": lambda client, order_id, observe: client.get_order(order_id, observe=observe),
    "acknowledge": lambda client, order_id, observe: client.acknowledge(
        order_id, idempotency_key="key-1", observe=observe
    ),
}


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize(("fault", "params", "expected"), FAULTS)
def test_it_turns_every_fault_into_its_decision(
    sandbox: SandboxControl,
    operation: str,
    fault: str,
    params: dict[str, Any],
    expected: type[KlarnaError],
) -> None:
    order_id = sandbox.create_order()
    sandbox.add_fault(fault, params=params)
    seen: list[Exchange] = []

    with client_of(sandbox) as client, pytest.raises(KlarnaError) as caught:
        CALLS[operation](client, order_id, seen.append)

    assert type(caught.value) is expected
    assert seen == [caught.value.exchange]
    assert len(sandbox.requests(order_id)) == 1
    if isinstance(caught.value, RateLimitedError):
        assert caught.value.retry_after_s == 7
