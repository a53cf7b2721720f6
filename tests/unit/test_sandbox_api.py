import json
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sandbox.api.dispatch import decide
from sandbox.api.orders import StoredOrder
from sandbox.api.request_log import LoggedCall
from sandbox.clock import MovableClock
from sandbox.faults.injected import InjectedFault
from sandbox.faults.kinds import FaultParams
from sandbox.serving.answers import ApiAnswer
from sandbox.serving.reading import ApiRequest
from sandbox.settings import SandboxSettings
from sandbox.state import SandboxState

_ID = "7849fd84-47dc-2919-a7ce-47b9f461562f"
_UNKNOWN_ID = "8849fd84-47dc-2919-a7ce-47b9f461562f"
_RIGHT = "Basic " + b64encode(b"sandbox:sandbox").decode()
_START_S = 1_700_000_000.0


def a_state(**settings: Any) -> SandboxState:  # noqa: ANN401 - the fields of Settings
    state = SandboxState(SandboxSettings(**settings), MovableClock(lambda: _START_S, lambda: 0))
    state.orders[_ID] = StoredOrder(_ID, _START_S, _START_S)
    return state


def call(
    state: SandboxState,
    what: str = "GET",
    *,
    order_id: str = _ID,
    authorization: str = _RIGHT,
    key: str | None = None,
) -> tuple[ApiAnswer | None, LoggedCall]:
    headers = {"authorization": authorization, "user-agent": "tests"}
    if key is not None:
        headers["klarna-idempotency-key"] = key
    method, _, rest = what.partition(" ")
    path = f"/ordermanagement/v1/orders/{order_id}{rest}"
    reply, entry = decide(state, ApiRequest(method, path, "", headers, b"", keep_alive=True))
    return reply.answer, entry


def acknowledge(state: SandboxState, **arguments: Any) -> tuple[ApiAnswer | None, LoggedCall]:  # noqa: ANN401 - those of call
    return call(state, "POST /acknowledge", **arguments)


def add_fault(state: SandboxState, name: str, **params: Any) -> None:  # noqa: ANN401 - the fields of FaultParams
    state.faults.add(lambda fault_id: InjectedFault(fault_id, name, params=FaultParams(**params)))


def error_code(answer: ApiAnswer | None) -> str:
    assert answer is not None
    code: str = json.loads(answer.body or b"{}")["error_code"]
    return code


def test_it_shows_an_order() -> None:
    state = a_state()

    answer, entry = call(state)

    assert answer is not None
    assert (answer.status, json.loads(answer.body or b"")["order_id"]) == (200, _ID)
    assert (entry.status, entry.effect, entry.fault) == (200, False, None)
    assert state.orders[_ID].acknowledge_effects == 0


def test_it_finds_an_order_whatever_the_case_of_its_id() -> None:
    answer, entry = call(a_state(), order_id=_ID.upper())

    assert (answer and answer.status, entry.order_id) == (200, _ID)


def test_it_acknowledges_an_order() -> None:
    state = a_state()

    answer, entry = acknowledge(state)

    assert (answer, entry.effect) == (ApiAnswer(204), True)
    assert state.orders[_ID].acknowledge_effects == 1


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic", "Basic x", "Bearer " + _RIGHT.split()[1], "Basic " + b64encode(b"a:b").decode()],
)
def test_it_refuses_wrong_credentials_before_all_else(authorization: str) -> None:
    state = a_state(rate_per_s=1)

    for _ in range(3):
        answer, entry = acknowledge(state, authorization=authorization)
        assert answer is not None
        assert (answer.status, answer.content_type, answer.correlated) == (401, "text/html", False)
        assert dict(answer.headers)["WWW-Authenticate"].startswith("Basic ")
        assert (entry.call.merchant, entry.effect) == (None, False)

    assert state.orders[_ID].acknowledge_effects == 0


def test_it_takes_any_credentials_when_the_check_is_off() -> None:
    assert acknowledge(a_state(auth_check=False), authorization="")[0] == ApiAnswer(204)


@pytest.mark.parametrize("order_id", ["x", _ID[:-1], _ID + "0", _ID.replace("7", "g"), ""])
def test_it_refuses_a_malformed_id(order_id: str) -> None:
    answer, entry = call(a_state(), order_id=order_id)

    assert (entry.status, error_code(answer)) == (400, "INVALID_ORDER_ID")


def test_it_refuses_a_malformed_id_with_404_when_told_so() -> None:
    answer, entry = call(a_state(invalid_order_id="404"), order_id="x")

    assert (entry.status, error_code(answer)) == (404, "INVALID_ORDER_ID")


def test_it_does_not_know_an_order_that_is_not_there_or_not_visible_yet() -> None:
    state = a_state()
    state.orders[_ID].visible_at_s += 60

    for order_id in (_ID, _UNKNOWN_ID):
        for answer, entry in (
            call(state, order_id=order_id),
            acknowledge(state, order_id=order_id),
        ):
            assert (entry.status, entry.effect) == (404, False)
            assert error_code(answer) == "NO_SUCH_ORDER"
    state.clock.advance(60)

    assert call(state)[1].status == 200


@pytest.mark.parametrize(
    ("hide", "status", "code"), [(True, 404, "NO_SUCH_ORDER"), (False, 403, "NOT_ALLOWED")]
)
def test_it_gives_nobody_anothers_order(*, hide: bool, status: int, code: str) -> None:
    state = a_state(hide_other_merchants=hide)
    state.orders[_ID].other_merchant = True

    for answer, entry in (call(state), acknowledge(state)):
        assert (entry.status, entry.effect, error_code(answer)) == (status, False, code)


def test_it_gives_each_merchant_its_own_orders_keys_and_rate() -> None:
    state = a_state(merchants={"two": "hush"}, rate_per_s=3)
    state.orders[_UNKNOWN_ID] = StoredOrder(_UNKNOWN_ID, _START_S, _START_S, merchant="two")
    two = "Basic " + b64encode(b"two:hush").decode()

    own = acknowledge(state, order_id=_UNKNOWN_ID, authorization=two, key="k")[1]
    mine = acknowledge(state, key="k")[1]
    foreign = [call(state, authorization=two), call(state, order_id=_UNKNOWN_ID)]
    again = [call(state, authorization=two)[1].status for _ in range(2)]

    assert [
        (each.status, each.effect, each.replayed, each.call.merchant) for each in (own, mine)
    ] == [
        (204, True, False, "two"),
        (204, True, False, "sandbox"),
    ]
    assert [error_code(answer) for answer, _ in foreign] == ["NO_SUCH_ORDER"] * 2
    assert again == [404, 429]
    assert call(state)[1].status == 200


def test_it_does_not_take_one_merchants_password_for_another() -> None:
    state = a_state(merchants={"two": "hush"})
    crossed = "Basic " + b64encode(b"two:sandbox").decode()

    assert call(state, authorization=crossed)[1].status == 401


@pytest.mark.parametrize(
    ("settings", "status", "effects"),
    [({}, 204, 2), ({"second_acknowledge": "403"}, 403, 1)],
)
def test_it_answers_a_second_acknowledge_as_the_switch_says(
    settings: dict[str, str], status: int, effects: int
) -> None:
    state = a_state(**settings)

    acknowledge(state)
    entry = acknowledge(state)[1]

    assert (entry.status, state.orders[_ID].acknowledge_effects) == (status, effects)


def test_it_refuses_to_acknowledge_a_cancelled_order() -> None:
    state = a_state()
    state.orders[_ID].status = "CANCELLED"

    answer, entry = acknowledge(state)

    assert (entry.status, entry.effect, error_code(answer)) == (403, False, "NOT_ALLOWED")


def test_it_replays_the_first_answer_of_a_key_without_effect() -> None:
    state = a_state()

    entries = [acknowledge(state, key="k")[1] for _ in range(3)]

    assert [(entry.status, entry.effect, entry.replayed) for entry in entries] == [
        (204, True, False),
        (204, False, True),
        (204, False, True),
    ]
    assert state.orders[_ID].acknowledge_effects == 1


def test_it_looks_at_nothing_but_the_key() -> None:
    state = a_state()
    acknowledge(state, key="k")

    answer, entry = acknowledge(state, order_id=_UNKNOWN_ID, key="k")

    assert (answer, entry.replayed) == (ApiAnswer(204), True)


def test_it_replays_a_refusal_even_when_its_cause_is_gone() -> None:
    state = a_state()
    state.orders[_ID].visible_at_s += 60
    acknowledge(state, key="k")
    state.clock.advance(3600)

    entry = acknowledge(state, key="k")[1]

    assert (entry.status, entry.replayed) == (404, True)


def test_it_acts_again_on_a_key_of_yesterday() -> None:
    state = a_state()
    acknowledge(state, key="k")
    state.clock.advance(24 * 3600)

    entry = acknowledge(state, key="k")[1]

    assert (entry.effect, entry.replayed, state.orders[_ID].acknowledge_effects) == (True, False, 2)


def test_it_replays_no_refusal_of_credentials_or_rate_and_no_get() -> None:
    state = a_state(rate_per_s=1)
    acknowledge(state, key="k", authorization="")
    call(state, key="k")
    limited = acknowledge(state, key="k")[1]
    state.clock.advance(1)

    entry = acknowledge(state, key="k")[1]

    assert limited.status == 429
    assert (entry.status, entry.effect, entry.replayed) == (204, True, False)


def test_it_limits_the_rate() -> None:
    state = a_state(rate_per_s=2)

    statuses = [call(state)[1].status for _ in range(4)]
    answer, _ = call(state)
    state.clock.advance(1)

    assert statuses == [200, 200, 429, 429]
    assert answer is not None
    assert (error_code(answer), dict(answer.headers)) == ("TOO_MANY_REQUESTS", {"Retry-After": "1"})
    assert call(state)[1].status == 200


def test_it_answers_what_it_does_not_stand_in_for_honestly() -> None:
    state = a_state()

    known, _ = call(state, "POST /instalments")
    outside, entry = decide(
        state, ApiRequest("GET", "/checkout/v3/orders", "", {}, b"", keep_alive=True)
    )

    assert error_code(known) == "NOT_IN_SANDBOX"
    assert (entry.call.name, entry.order_id, entry.status) == ("unknown", None, 401)
    assert outside.answer is not None


@pytest.mark.parametrize("name", ["timeout_after_effect", "reset_after_effect"])
def test_it_takes_effect_although_nobody_is_told(name: str) -> None:
    state = a_state()
    add_fault(state, name)

    answer, entry = acknowledge(state, key="k")
    state.faults.clear()
    retried = acknowledge(state, key="k")[1]

    assert (answer, entry.status, entry.effect, entry.fault) == (None, None, True, name)
    assert (retried.status, retried.effect, retried.replayed) == (204, False, True)


@pytest.mark.parametrize("name", ["timeout_before_effect", "reset_before_effect", "status"])
def test_it_takes_no_effect_when_struck_before(name: str) -> None:
    state = a_state()
    add_fault(state, name)

    entry = acknowledge(state, key="k")[1]
    state.faults.clear()
    retried = acknowledge(state, key="k")[1]

    assert (entry.effect, entry.fault) == (False, name)
    assert (retried.effect, retried.replayed) == (True, False)


def test_it_hides_an_effect_behind_a_bad_gateway() -> None:
    state = a_state()
    add_fault(state, "status", status=502, effect=True)

    entry = acknowledge(state)[1]

    assert (entry.status, entry.effect) == (502, True)


def test_it_does_not_let_a_fault_past_the_credentials() -> None:
    state = a_state()
    add_fault(state, "timeout_after_effect")

    entry = acknowledge(state, authorization="")[1]

    assert (entry.effect, state.orders[_ID].acknowledge_effects) == (False, 0)


def test_it_shows_the_whole_log_entry() -> None:
    state = a_state()

    entry = acknowledge(state, key="k")[1]

    view = entry.view()
    assert len(str(view.pop("correlation_id"))) == 36
    assert view == {
        "seq": 1,
        "at": "2023-11-14T22:13:20.000Z",
        "method": "POST",
        "path": f"/ordermanagement/v1/orders/{_ID}/acknowledge",
        "order_id": _ID,
        "operation": "acknowledge",
        "status": 204,
        "effect": True,
        "idempotency_key": "k",
        "replayed": False,
        "user_agent": "tests",
        "authorized": True,
        "merchant": "sandbox",
        "fault": None,
    }


def test_it_keeps_log_and_orders_exact_under_concurrency() -> None:
    state = a_state()
    add_fault(state, "reset_after_effect")

    with ThreadPoolExecutor(16) as threads:
        keys = [f"key-{each % 50}" for each in range(2000)]
        entries = [entry for _, entry in threads.map(lambda key: acknowledge(state, key=key), keys)]

    assert sorted(entry.seq for entry in entries) == list(range(1, 2001))
    assert [entry.seq for entry in state.request_log.since(0)] == list(range(1, 2001))
    assert sum(entry.effect for entry in entries) == 50
    assert sum(entry.replayed for entry in entries) == 1950
    assert (state.orders[_ID].acknowledge_effects, state.orders[_ID].requests) == (50, 2000)
