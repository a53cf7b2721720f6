"""Handing orders over: the parts of a worker, against the sandbox's receiver and plugin."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
from redis import Redis

from devtools.local.sandbox_control import ReceivedBody, SandboxControl
from klarna import KlarnaClient, MerchantReferences, Observe, Order, resolve_api_url
from pushes import life
from pushes.accounts.holds import Holds
from pushes.accounts.policies import DEFAULT_POLICIES, HandOver, Policies
from pushes.accounts.serving import Share
from pushes.log import trace
from pushes.model import Change, Entry, HoldReason, Push, PushKey, Reason, State
from pushes.origin import KLARNA, Origin
from pushes.policy import RetryPolicy
from pushes.store import records
from pushes.store.ledger import Ledger
from worker.attempt.acknowledge import ServedAccount
from worker.attempt.attempt import Attempt
from worker.attempt.hand_over.messages import decision_message_id
from worker.attempt.hand_over.shop import MerchantSystem, References
from worker.clock import SYSTEM_CLOCK
from worker.wiring import Parts, assemble


class WorkerDiedError(BaseException):
    """The process is gone: nothing of it goes on, and nothing is said."""


@dataclass
class Dying:
    """Dies after a step, once."""

    after: str | None = None
    done: list[str] = field(default_factory=list)

    def step(self, name: str) -> None:
        self.done.append(name)
        if self.after == name:
            self.after = None
            raise WorkerDiedError


class DyingShop(MerchantSystem):
    dying = Dying()

    def hand_over(self, push: Push, order: Order, entries: list[Entry]) -> References:
        found = super().hand_over(push, order, entries)
        self.dying.step("hand_over")
        return found

    def hand_over_decision(self, push: Push, order: Order, entries: list[Entry]) -> None:
        super().hand_over_decision(push, order, entries)
        self.dying.step("hand_over_decision")


@dataclass
class DyingClient:
    client: KlarnaClient
    dying: Dying

    def get_order(self, order_id: str, *, observe: Observe) -> Order:
        order = self.client.get_order(order_id, observe=observe)
        self.dying.step("get_order")
        return order

    def update_merchant_references(
        self,
        order_id: str,
        references: MerchantReferences,
        *,
        idempotency_key: str,
        observe: Observe,
    ) -> None:
        self.client.update_merchant_references(
            order_id, references, idempotency_key=idempotency_key, observe=observe
        )
        self.dying.step("references")

    def acknowledge(self, order_id: str, *, idempotency_key: str, observe: Observe) -> None:
        self.client.acknowledge(order_id, idempotency_key=idempotency_key, observe=observe)
        self.dying.step("acknowledge")


class OneWorker:
    """A worker that makes one attempt when it is told to."""

    def __init__(
        self,
        redis: Redis,
        sandbox: SandboxControl,
        hand_over: HandOver,
        policies: Policies = DEFAULT_POLICIES,
    ) -> None:
        self.dying = Dying()
        self.redis, self.ledger = redis, Ledger(redis)
        self._klarna = KlarnaClient(resolve_api_url(sandbox.url), "sandbox", "sandbox")
        shop = DyingShop(hand_over, pool_size=2, user_agent="klarna-ack/test")
        shop.dying = self.dying
        self._shop = shop
        client = DyingClient(self._klarna, self.dying)
        account = ServedAccount(client, policies, shop, client)
        self.parts: Parts = assemble(
            self.ledger,
            name="worker-1",
            accounts={"default": account},
            shares={"default": Share.of("default", 1_000_000)},
            retry_policy=RetryPolicy(),
            outage_after_failures=3,
            concurrency=1,
        )
        self.parts.serving.announce()

    def push(self, order_id: str, origin: Origin = KLARNA) -> PushKey:
        key = PushKey("default", order_id)
        self.ledger.accept(key, SYSTEM_CLOCK.now(), origin)
        return key

    def attempt(self, key: PushKey, *, is_probe: bool = False) -> Push:
        """Attempt one order now, whatever it waits for."""
        now = SYSTEM_CLOCK.now()

        def start(push: Push) -> Change | None:
            return life.started(push, "worker-1", f"{push.rev:032x}", now)

        change = self.ledger.advance(key, start)
        assert change
        attempt = Attempt(change.after, SYSTEM_CLOCK.monotonic(), SYSTEM_CLOCK, is_probe=is_probe)
        try:
            self.parts.settler.settle([self.parts.acknowledger.run(attempt)])
        except WorkerDiedError:
            self.ledger.advance(key, partial(life.crashed, now=now))
        push = records.get(self.redis, key)
        assert push
        return push

    def notify(self, key: PushKey, event: str) -> Push:
        return self.ledger.notify(key, event, SYSTEM_CLOCK.now(), KLARNA)

    def reference_of(self, key: PushKey) -> str | None:
        """What Klarna has been told that the shop calls the order."""
        return self._klarna.get_order(key.order_id).merchant_reference1

    def without_names(self, order_id: str) -> str:
        """Take from an order what the sandbox calls it; return its id."""
        nothing = MerchantReferences(merchant_reference1="", merchant_reference2="")
        self._klarna.update_merchant_references(order_id, nothing, idempotency_key="test")
        return order_id

    def close(self) -> None:
        self._klarna.close()
        self._shop.close()


Start = Callable[..., OneWorker]


@pytest.fixture
def start(redis_client: Redis, sandbox: SandboxControl) -> Iterator[Start]:
    started: list[OneWorker] = []

    def make(
        path: str = "/receiver/orders", policies: Policies = DEFAULT_POLICIES, **facts: object
    ) -> OneWorker:
        table = {
            "url": sandbox.url + path,
            "secret": sandbox.settings()["receiver_secret"],
            "allow_private": True,
        }
        hand_over = HandOver.model_validate(table | facts)
        started.append(OneWorker(redis_client, sandbox, hand_over, policies))
        return started[-1]

    yield make
    for one in started:
        one.close()


def calls(redis: Redis, key: PushKey) -> list[tuple[str, int | None]]:
    entries = records.timeline(redis, key)
    return [(entry.call, entry.http_status) for entry in entries if entry.call]


def test_it_hands_an_order_over_and_sets_what_the_shop_calls_it(
    start: Start, sandbox: SandboxControl, redis_client: Redis
) -> None:
    worker = start()
    sandbox.settings(receiver_reference1="shop-{order_id}")
    key = worker.push(sandbox.create_order(amount=19_900))

    push = worker.attempt(key)

    assert push.state is State.ACKNOWLEDGED
    assert push.handed_over_at
    assert push.references_set_at
    assert push.reference1 == f"shop-{key.order_id}"
    assert calls(redis_client, key) == [
        ("get_order", 200),
        ("hand_over", 200),
        ("update_merchant_references", 204),
        ("acknowledge", 204),
    ]
    (message,) = sandbox.received(key.order_id)
    assert (message["verified"], message["taken"], message["problem"]) == (True, True, None)
    body = message["body"]
    assert isinstance(body, dict)
    assert body["type"] == "order.verified"
    assert body["data"]["order_amount"] == 19_900
    assert worker.reference_of(key) == f"shop-{key.order_id}"


TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("brought", [TRACEPARENT, None])
@pytest.mark.parametrize("style", ["signed", "forward"])
def test_the_shop_gets_the_trace_of_the_push(
    start: Start, sandbox: SandboxControl, style: str, brought: str | None
) -> None:
    signed = style == "signed"
    worker = start() if signed else start("/plugin/{order_id}", style=style, secret=None)
    key = worker.push(sandbox.create_order(), Origin(trace=brought))

    push = worker.attempt(key)

    (got,) = sandbox.received(key.order_id) if signed else sandbox.plugin_calls(key.order_id)
    assert got["traceparent"] == trace.header(push) == (brought or got["traceparent"])
    assert trace.trace_id(push) in str(got["traceparent"])


def test_it_forwards_the_push_to_a_plugin_as_klarna_would(
    start: Start, sandbox: SandboxControl
) -> None:
    worker = start("/plugin/?id={checkout.order.id}", style="forward", secret=None)
    key = worker.push(sandbox.create_order())

    assert worker.attempt(key).state is State.ACKNOWLEDGED

    (call,) = sandbox.plugin_calls(key.order_id)
    assert (call["method"], call["query"], call["body"]) == ("POST", f"id={key.order_id}", "")
    assert (call["read"], call["acknowledged"]) == (200, 204)


@pytest.mark.parametrize("status", [409, 422])
def test_an_order_that_the_shop_refuses_is_dead_with_its_words(
    start: Start, sandbox: SandboxControl, redis_client: Redis, status: int
) -> None:
    worker = start()
    key = worker.push(sandbox.create_order())
    refusal = {"status": status, "body": {"reason": "out of stock"}}
    sandbox.add_fault("status", operation="receiver", params=refusal)

    push = worker.attempt(key)

    assert (push.state, push.reason) == (State.DEAD, Reason.REFUSED_BY_MERCHANT)
    assert push.last_error == f"the shop refuses the order, HTTP {status}: out of stock"
    assert push.handed_over_at is None
    assert calls(redis_client, key) == [("get_order", 200), ("hand_over", status)]


def test_a_private_address_is_called_only_when_the_account_allows_it(
    start: Start, sandbox: SandboxControl
) -> None:
    port = sandbox.url.rpartition(":")[2]
    worker = start(url=f"https://localhost:{port}/receiver/orders", allow_private=False)
    key = worker.push(sandbox.create_order())

    push = worker.attempt(key)

    assert push.state is State.RETRYING
    assert push.last_error == (
        "the shop gave no answer: the shop's host is at no public address; allow_private = true"
        " allows it"
    )
    assert sandbox.received() == []


def test_a_redirect_is_not_followed(start: Start, sandbox: SandboxControl) -> None:
    worker = start()
    key = worker.push(sandbox.create_order())
    sandbox.add_fault("redirect", operation="receiver")

    push = worker.attempt(key)

    assert push.state is State.RETRYING
    assert str(push.last_error).startswith("the shop answered HTTP 30")
    assert len(sandbox.received(key.order_id)) == 1


def test_a_shop_that_is_away_holds_its_account_until_it_takes_an_order(
    start: Start, sandbox: SandboxControl, redis_client: Redis
) -> None:
    worker, holds = start(), Holds(redis_client)
    pushed = [worker.push(sandbox.create_order()) for _ in range(4)]
    sandbox.add_fault("status", operation="receiver", params={"status": 500})

    first = [worker.attempt(key) for key in pushed[:3]]

    assert [push.state for push in first] == [State.RETRYING, State.RETRYING, State.HELD]
    assert first[-1].reason is HoldReason.MERCHANT
    hold = holds.get("default")
    assert hold
    assert (hold.reason, hold.cause) == (HoldReason.MERCHANT, first[-1].last_error)
    spent = worker.attempt(pushed[3], is_probe=True)
    assert (spent.state, spent.failures) == (State.HELD, 0)
    assert holds.get("default")  # Klarna's good answer to the GET does not end it

    sandbox.clear_faults()
    passed = worker.attempt(pushed[3], is_probe=True)

    assert passed.state is State.ACKNOWLEDGED
    assert holds.get("default") is None


def test_the_hold_of_a_shop_ends_when_its_orders_are_not_handed_over_any_more(
    start: Start, sandbox: SandboxControl, redis_client: Redis
) -> None:
    worker, holds = start(), Holds(redis_client)
    assert holds.begin("default", HoldReason.MERCHANT, "the shop answered HTTP 500")
    before = worker.parts.accounts["default"]
    worker.parts.accounts["default"] = replace(before, shop=None)

    push = worker.attempt(worker.push(sandbox.create_order()), is_probe=True)

    assert (push.state, push.handed_over_at) == (State.ACKNOWLEDGED, None)
    assert holds.get("default") is None


STEPS = ("get_order", "hand_over", "references", "acknowledge")


@pytest.mark.parametrize("after", STEPS)
def test_a_worker_that_dies_at_any_step_repeats_one_call_at_the_most(
    start: Start, sandbox: SandboxControl, after: str
) -> None:
    worker = start()
    sandbox.settings(receiver_reference1="shop-1")
    key = worker.push(sandbox.create_order())

    worker.dying.after = after
    died = worker.attempt(key)
    push = worker.attempt(key)

    assert (died.state, died.crashes) == (State.RETRYING, 1)
    assert push.state is State.ACKNOWLEDGED
    messages = sandbox.received(key.order_id)
    assert len({message["message_id"] for message in messages}) == 1
    repeats = {name: worker.dying.done.count(name) for name in STEPS}
    at = STEPS.index(after)
    assert repeats == {
        name: 2 if name in {"get_order", after} else 1 for name in STEPS[: at + 1]
    } | dict.fromkeys(STEPS[at + 1 :], 1)
    assert worker.reference_of(key) == "shop-1"
    assert sandbox.order(key.order_id)["acknowledge_effects"] == 1


NAMED = Policies(
    set_merchant_references={
        "merchant_reference1": "{account}-{klarna_reference}",
        "merchant_reference2": "{order_id}",
    }
)


def test_its_account_names_an_order_that_nobody_has_named(
    start: Start, sandbox: SandboxControl, redis_client: Redis
) -> None:
    worker = start(policies=NAMED)
    key = worker.push(worker.without_names(sandbox.create_order()))

    push = worker.attempt(key)

    assert push.state is State.ACKNOWLEDGED
    assert push.references_set_at
    assert worker.reference_of(key) == f"default-{push.order.klarna_reference}"
    assert calls(redis_client, key)[2:] == [
        ("update_merchant_references", 204),
        ("acknowledge", 204),
    ]


def test_the_shops_own_names_of_an_order_are_not_replaced(
    start: Start, sandbox: SandboxControl, redis_client: Redis
) -> None:
    worker = start(policies=NAMED)
    named = worker.push(
        sandbox.create_order(merchant_reference1="shop-7", merchant_reference2="shop-8")
    )
    worker.attempt(named)
    sandbox.settings(receiver_reference1="shop-{order_id}")
    answered = worker.push(sandbox.create_order())
    worker.attempt(answered)

    assert worker.reference_of(named) == "shop-7"
    assert ("update_merchant_references", 204) not in calls(redis_client, named)
    assert worker.reference_of(answered) == f"shop-{answered.order_id}"


def test_an_order_is_named_by_one_key_however_often_klarna_says_nothing(
    start: Start, sandbox: SandboxControl
) -> None:
    worker = start(policies=NAMED)
    key = worker.push(worker.without_names(sandbox.create_order()))
    sandbox.add_fault(
        "timeout_before_effect",
        operation="update_merchant_references",
        times=1,
        params={"hold_s": 0.1},
    )

    failed, push = worker.attempt(key), worker.attempt(key)

    assert (failed.state, push.state) == (State.RETRYING, State.ACKNOWLEDGED)
    used = [
        one["idempotency_key"]
        for one in sandbox.requests(key.order_id)
        if one["operation"] == "update_merchant_references" and one["idempotency_key"] != "test"
    ]
    assert len(used) == 2
    assert len(set(used)) == 1


ACCEPTED, STOPPED = "FRAUD_RISK_ACCEPTED", "FRAUD_RISK_STOPPED"


def decisions(sandbox: SandboxControl, key: PushKey) -> list[ReceivedBody]:
    return [one for one in sandbox.received(key.order_id) if one["type"] != "order.verified"]


def test_a_fraud_decision_is_handed_over_once_klarna_shows_it(
    start: Start, sandbox: SandboxControl, redis_client: Redis
) -> None:
    worker = start()
    key = worker.push(sandbox.create_order(fraud_status="PENDING"))
    worker.attempt(key)
    sandbox.change_order(key.order_id, fraud_status="ACCEPTED")
    notified = worker.notify(key, ACCEPTED)

    push = worker.attempt(key)

    assert (push.state, push.fraud_event, push.fraud_seen) == (
        State.ACKNOWLEDGED,
        None,
        ACCEPTED,
    )
    assert push.decision_handed_over_at
    assert push.acknowledged_at
    (message,) = decisions(sandbox, key)
    assert (message["verified"], message["type"]) == (True, "fraud.accepted")
    assert message["message_id"] == decision_message_id(notified)
    data = message["body"]["data"]
    assert (data["event_type"], data["fraud_status"]) == (ACCEPTED, "ACCEPTED")
    assert (data["account"], data["order_id"]) == ("default", key.order_id)
    assert calls(redis_client, key)[-2:] == [("get_order", 200), ("hand_over_decision", 200)]
    last = records.timeline(redis_client, key)[-1]
    assert (last.event, last.detail) == ("fraud_accepted", "Klarna shows ACCEPTED")


def test_a_decision_follows_its_order_in_one_attempt(start: Start, sandbox: SandboxControl) -> None:
    worker = start()
    key = worker.push(sandbox.create_order(fraud_status="ACCEPTED"))
    worker.notify(key, ACCEPTED)

    push = worker.attempt(key)

    assert (push.state, push.fraud_event) == (State.ACKNOWLEDGED, None)
    assert [one["type"] for one in sandbox.received(key.order_id)] == [
        "order.verified",
        "fraud.accepted",
    ]


def test_a_decision_about_an_order_that_was_never_pushed_is_handed_over_and_no_order(
    start: Start, sandbox: SandboxControl
) -> None:
    worker = start()
    key = PushKey("default", sandbox.create_order(fraud_status="STOPPED"))
    worker.notify(key, STOPPED)

    push = worker.attempt(key)

    assert (push.state, push.fraud_seen, push.acknowledged_at) == (State.NOT_NEEDED, STOPPED, None)
    assert [one["type"] for one in sandbox.received(key.order_id)] == ["fraud.stopped"]


def test_what_klarna_does_not_show_is_not_handed_over(
    start: Start, sandbox: SandboxControl
) -> None:
    worker = start()
    key = PushKey("default", sandbox.create_order(fraud_status="PENDING"))
    worker.notify(key, ACCEPTED)

    push = worker.attempt(key)

    assert (push.state, push.fraud_event) == (State.RETRYING, ACCEPTED)
    assert sandbox.received(key.order_id) == []


def test_a_shop_that_does_not_take_a_decision_gets_it_again_and_holds_up_no_acknowledge(
    start: Start, sandbox: SandboxControl
) -> None:
    worker = start()
    key = worker.push(sandbox.create_order(fraud_status="ACCEPTED"))
    sandbox.add_fault("status", operation="acknowledge", times=1, params={"status": 503})
    assert worker.attempt(key).handed_over_at
    worker.notify(key, ACCEPTED)
    sandbox.add_fault("status", operation="receiver", times=2, params={"status": 503})

    first, second, third = (worker.attempt(key) for _ in range(3))

    assert (first.state, first.only_notified) == (State.QUEUED, True)
    assert first.acknowledged_at
    assert (second.state, second.failures) == (State.RETRYING, 1)
    assert str(second.last_error).startswith("the shop answered HTTP 503")
    assert (third.state, third.fraud_seen) == (State.ACKNOWLEDGED, ACCEPTED)
    assert len({one["message_id"] for one in decisions(sandbox, key)}) == 1
    assert [one["taken"] for one in decisions(sandbox, key)] == [False, False, True]
    assert sandbox.order(key.order_id)["acknowledge_effects"] == 1


def test_a_decision_that_the_shop_refuses_is_dead_with_its_words(
    start: Start, sandbox: SandboxControl
) -> None:
    worker = start()
    key = PushKey("default", sandbox.create_order(fraud_status="STOPPED"))
    worker.notify(key, STOPPED)
    refusal = {"status": 422, "body": {"reason": "shipped already"}}
    sandbox.add_fault("status", operation="receiver", times=1, params=refusal)

    push = worker.attempt(key)

    assert (push.state, push.reason) == (State.DEAD, Reason.REFUSED_BY_MERCHANT)
    assert push.last_error == "the shop refuses the fraud decision, HTTP 422: shipped already"
    replayed = worker.ledger.advance(
        key, lambda push: life.replayed(push, "anna", "sent back", SYSTEM_CLOCK.now())
    )
    assert replayed
    assert worker.attempt(key).fraud_seen == STOPPED
    assert len({one["message_id"] for one in decisions(sandbox, key)}) == 1


def test_shops_that_take_no_decision_hold_their_account(
    start: Start, sandbox: SandboxControl, redis_client: Redis
) -> None:
    worker = start()
    pushed = [PushKey("default", sandbox.create_order(fraud_status="ACCEPTED")) for _ in range(3)]
    for key in pushed:
        worker.notify(key, ACCEPTED)
    sandbox.add_fault("status", operation="receiver", params={"status": 500})

    states = [worker.attempt(key).state for key in pushed]

    assert states == [State.RETRYING, State.RETRYING, State.HELD]
    hold = Holds(redis_client).get("default")
    assert hold
    assert hold.reason is HoldReason.MERCHANT
    sandbox.clear_faults()
    assert worker.attempt(pushed[2], is_probe=True).fraud_seen == ACCEPTED
    assert Holds(redis_client).get("default") is None


def test_a_worker_that_dies_after_a_decision_sends_it_by_the_same_id(
    start: Start, sandbox: SandboxControl
) -> None:
    worker = start()
    key = PushKey("default", sandbox.create_order(fraud_status="ACCEPTED"))
    worker.notify(key, ACCEPTED)
    worker.dying.after = "hand_over_decision"

    died, push = worker.attempt(key), worker.attempt(key)

    assert (died.state, died.crashes) == (State.RETRYING, 1)
    assert (push.state, push.fraud_event) == (State.NOT_NEEDED, None)
    assert [one["repeat"] for one in decisions(sandbox, key)] == [False, True]


def test_a_decision_that_was_handed_over_is_not_handed_over_again(
    start: Start, sandbox: SandboxControl
) -> None:
    worker = start()
    key = worker.push(sandbox.create_order(fraud_status="ACCEPTED"))
    worker.notify(key, ACCEPTED)
    worker.dying.after = "acknowledge"

    died, push = worker.attempt(key), worker.attempt(key)

    assert (died.state, died.fraud_event) == (State.RETRYING, ACCEPTED)
    assert (push.state, push.fraud_seen) == (State.ACKNOWLEDGED, ACCEPTED)
    assert len(decisions(sandbox, key)) == 1


def test_a_decision_that_changes_meanwhile_is_handed_over_as_well(
    start: Start, sandbox: SandboxControl
) -> None:
    worker = start()
    key = worker.push(sandbox.create_order(fraud_status="ACCEPTED"))
    worker.notify(key, ACCEPTED)
    worker.dying.after = "acknowledge"
    worker.attempt(key)
    sandbox.change_order(key.order_id, fraud_status="STOPPED")
    worker.notify(key, STOPPED)

    push = worker.attempt(key)

    assert (push.state, push.fraud_seen) == (State.ACKNOWLEDGED, STOPPED)
    sent = decisions(sandbox, key)
    assert [one["type"] for one in sent] == ["fraud.accepted", "fraud.stopped"]
    assert len({one["message_id"] for one in sent}) == 2


def test_a_plugin_gets_klarnas_own_notification(
    start: Start, sandbox: SandboxControl, redis_client: Redis
) -> None:
    fraud_url = f"{sandbox.url}/plugin/fraud?store=2"
    worker = start("/plugin/{order_id}", style="forward", secret=None, fraud_url=fraud_url)
    key = PushKey("default", sandbox.create_order(fraud_status="ACCEPTED"))
    worker.notify(key, ACCEPTED)

    push = worker.attempt(key)

    assert (push.state, push.fraud_seen) == (State.NOT_NEEDED, ACCEPTED)
    (call,) = sandbox.plugin_calls(key.order_id)
    assert (call["method"], call["path"], call["query"]) == ("POST", "/plugin/fraud", "store=2")
    assert json.loads(call["body"]) == {"order_id": key.order_id, "event_type": ACCEPTED}
    assert (call["event_type"], call["read"], call["acknowledged"]) == (ACCEPTED, 200, None)
    assert calls(redis_client, key) == [("get_order", 200), ("hand_over_decision", 200)]


def test_a_plugin_without_an_address_for_it_gets_none(
    start: Start, sandbox: SandboxControl
) -> None:
    worker = start("/plugin/{order_id}", style="forward", secret=None)
    key = PushKey("default", sandbox.create_order(fraud_status="ACCEPTED"))
    worker.notify(key, ACCEPTED)

    push = worker.attempt(key)

    assert (push.state, push.fraud_seen) == (State.NOT_NEEDED, ACCEPTED)
    assert push.decision_handed_over_at is None
    assert sandbox.plugin_calls(key.order_id) == []


def test_an_order_that_was_handed_over_is_not_handed_over_again(
    start: Start, sandbox: SandboxControl
) -> None:
    worker = start()
    key = worker.push(sandbox.create_order())
    worker.attempt(key)
    again = replace(records_of(worker, key), state=State.QUEUED)

    change = worker.ledger.advance(key, lambda push: Change(push, replace(again, rev=push.rev + 1)))
    assert change
    assert worker.attempt(key).state is State.ACKNOWLEDGED

    assert len(sandbox.received(key.order_id)) == 1


def records_of(worker: OneWorker, key: PushKey) -> Push:
    push = records.get(worker.redis, key)
    assert push
    return push
