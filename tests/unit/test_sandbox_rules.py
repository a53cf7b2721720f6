"""Any sequence of calls, and any body: what holds whatever is asked of the sandbox."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.api.operations import OPERATIONS
from sandbox.control import routes
from sandbox.pushing.sender import PushSender
from sandbox.serving.reading import ApiRequest
from tests.sandboxes import SandboxCalls

_AMOUNTS = st.integers(0, 12_000)
_BODIES: dict[str, st.SearchStrategy[Any]] = {
    "update_authorization": st.fixed_dictionaries({"order_amount": _AMOUNTS}),
    "capture": st.fixed_dictionaries({"captured_amount": _AMOUNTS}),
    "refund": st.fixed_dictionaries({"refunded_amount": _AMOUNTS}),
    "update_merchant_references": st.just({"merchant_reference1": "r"}),
    "update_customer_details": st.just({"shipping_address": {"title": "Dr"}}),
    "add_shipping_info": st.just({"shipping_info": [{}]}),
}
_CALLS = st.sampled_from(sorted(OPERATIONS)).flatmap(
    lambda call: st.tuples(
        st.just(f"{call[0]} /{call[1]}".rstrip("/")),
        _BODIES.get(OPERATIONS[call].name, st.none()),
    )
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
_FIELDS = (
    *("order_id", "count", "push", "first_push_after_s", "status", "fraud_status", "amount"),
    *("currency", "visible_after_s", "merchant", "push_url", "fault", "operation", "times"),
    *("probability", "params", "latency_ms", "rate_per_s", "username", "merchants", "url"),
    *("push_schedule_s", "second_acknowledge", "retry_after_s", "advance_s", "speed"),
)


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(_CALLS, max_size=20))
def test_it_keeps_its_books_whatever_is_asked_of_it(calls: list[tuple[str, object]]) -> None:
    klarna = SandboxCalls()
    for call, body in calls:
        before = klarna.shown()

        answer, entry = klarna(call, body)

        order = klarna.order
        assert answer.status < 500
        assert 0 <= order.refunded_amount <= order.captured_amount <= order.amount
        assert order.remaining_amount >= 0
        assert entry.effect == (answer.status in {201, 204})
        assert bool(order.captures) == (order.status in {"PART_CAPTURED", "CAPTURED"})
        if not entry.effect:
            assert klarna.shown() == before


@settings(deadline=None)
@given(
    call=st.sampled_from([call for call in sorted(routes.CALLS) if call[1] != "pushes"]),
    body=st.dictionaries(st.sampled_from(_FIELDS), _JSON, max_size=4) | _JSON,
    item=st.text(min_size=1, max_size=5),
)
def test_it_survives_anything_on_the_control_side(
    call: tuple[str, str], body: object, item: str
) -> None:
    klarna = SandboxCalls()
    path = f"/_control/{call[1].format(id=item)}"
    content = json.dumps(body).encode()
    request = ApiRequest(call[0], path, "", {}, content, keep_alive=True)

    answer = routes.answer(klarna.state, PushSender(klarna.state), request)

    assert answer.status in {200, 201, 400, 404}
    assert klarna("GET")[0].status in {200, 401, 404, 429}
