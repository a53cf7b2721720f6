"""Orders are handed over once, whenever the worker is killed, and a shop's trouble is its own.

Real processes and a real receiver. For the kills every step of an attempt has an order that stops
there: the sandbox keeps the answer of a call, or the worker's own thread goes no further after it.
When each order is where it stops, the worker is killed and another one takes over.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from redis import Redis

from devtools.local.embedded import EmbeddedServer
from devtools.local.processes import Processes, Worker, poll
from devtools.local.sandbox_control import LoggedRequest, ReceivedBody, SandboxControl
from klarna import KlarnaClient, resolve_api_url
from pushes.model import Push, PushKey, State
from pushes.store import records
from pushes.store.ledger import Ledger
from tests.builders import an_order_id

CALLS = ("get_order", "hand_over", "update_merchant_references", "acknowledge")


class Moment(StrEnum):
    """When a call's worker is killed."""

    ASKED = "before it is done"
    DONE = "before its answer"
    ANSWERED = "after its answer"  # and before anything of it is written down


STEPS = [(call, moment) for call, moment in product(CALLS, Moment)]

# A reset of the sandbox lets go of it.
_FOR_LONG = {"hold_s": 120}
_HELD = {Moment.ASKED: "timeout_before_effect", Moment.DONE: "timeout_after_effect"}

# Python runs it before anything else: after its call, the thread of such an order goes no further.
_STOPPING = """
import json, os, sys, threading
from klarna import KlarnaClient
from worker.attempt.hand_over.shop import MerchantSystem

stops = json.loads(os.environ["STOPS"])

def stop_after(owner, name):
    call = getattr(owner, name)

    def stopping(self, order, *arguments, **options):
        answer = call(self, order, *arguments, **options)
        key = getattr(order, "key", order)  # it is given an id, a key or a record
        order_id = getattr(key, "order_id", key)
        if stops.get(order_id) == name:
            sys.stderr.write(f"stopped {order_id}\\n")
            sys.stderr.flush()
            threading.Event().wait()
        return answer

    setattr(owner, name, stopping)

stop_after(MerchantSystem, "hand_over")
for name in ("get_order", "update_merchant_references", "acknowledge"):
    stop_after(KlarnaClient, name)
"""


@dataclass(frozen=True)
class KilledOrder:
    """What came of an order whose worker was killed, everywhere where it left a trace."""

    push: Push
    events: list[str]
    requests: list[LoggedRequest]
    messages: list[ReceivedBody]
    reference: str | None
    acknowledge_effects: int

    def times(self, call: str) -> int:
        return sum(request["operation"] == call for request in self.requests)


def accounts_file(directory: Path, sandbox: SandboxControl) -> Path:
    """Write an account that hands its orders over to the sandbox, and one that does not."""
    settings = sandbox.settings()
    file = directory / "accounts.toml"
    file.write_text(
        f"""
        [accounts.other]
        api_url = "{sandbox.url}"
        username = "{settings["username"]}"
        password = "{settings["password"]}"
        rate_per_s = 1000
        [accounts.shop]
        api_url = "{sandbox.url}"
        username = "{settings["username"]}"
        password = "{settings["password"]}"
        rate_per_s = 1000
        [accounts.shop.hand_over]
        url = "{sandbox.url}/receiver/orders"
        secret = "{settings["receiver_secret"]}"
        allow_private = true
        """
    )
    return file


def is_where_it_stops(
    sandbox: SandboxControl, worker: Worker, order_id: str, step: tuple[str, Moment]
) -> bool:
    call, moment = step
    if moment is Moment.ANSWERED:
        return f"stopped {order_id}\n" in worker.log
    if call == "hand_over":
        return any(message["fault"] for message in sandbox.received(order_id))
    return any(request["fault"] for request in sandbox.requests(order_id))


@pytest.fixture(scope="module")
def killed(
    sandbox_process: tuple[SandboxControl, dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[tuple[str, Moment], KilledOrder]]:
    """Every step's order, after the worker that had all of them was killed and another ran."""
    sandbox, first_settings = sandbox_process
    sandbox.reset()
    sandbox.settings(**first_settings | {"receiver_reference1": "shop-{order_id}"})
    directory = tmp_path_factory.mktemp("kills")
    (directory / "sitecustomize.py").write_text(_STOPPING)
    orders = {step: PushKey("shop", an_order_id()) for step in STEPS}
    with EmbeddedServer() as server, Redis.from_url(server.url) as redis:
        env = {
            "REDIS_URL": server.url,
            "ACCOUNTS_FILE": str(accounts_file(directory, sandbox)),
        }
        processes = Processes(env, directory)
        try:
            _kill_at_every_step(processes, sandbox, redis, directory, orders)
            yield {step: _outcome(sandbox, redis, key) for step, key in orders.items()}
        finally:
            processes.kill_all()
            sandbox.reset()
            sandbox.settings(**first_settings)


def _kill_at_every_step(
    processes: Processes,
    sandbox: SandboxControl,
    redis: Redis,
    directory: Path,
    orders: dict[tuple[str, Moment], PushKey],
) -> None:
    for (call, moment), key in orders.items():
        sandbox.create_order(order_id=key.order_id)
        if moment in _HELD:
            operation = "receiver" if call == "hand_over" else call
            sandbox.add_fault(
                _HELD[moment],
                operation=operation,
                order_id=key.order_id,
                times=1,
                params=_FOR_LONG,
            )
        Ledger(redis).accept(key, datetime.now(UTC))
    stops = {key.order_id: call for (call, at), key in orders.items() if at is Moment.ANSWERED}
    first = processes.worker(PYTHONPATH=str(directory), STOPS=json.dumps(stops))
    for step, key in orders.items():
        poll(partial(is_where_it_stops, sandbox, first, key.order_id, step), 30, f"{step}")
    first.kill9()
    processes.worker()
    for step, key in orders.items():
        poll(partial(_is_settled, redis, key), 60, f"{step}")


def _is_settled(redis: Redis, key: PushKey) -> bool:
    push = records.get(redis, key)
    return push is not None and not push.state.is_waiting


def _outcome(sandbox: SandboxControl, redis: Redis, key: PushKey) -> KilledOrder:
    push = records.get(redis, key)
    assert push
    requests, messages = sandbox.requests(key.order_id), sandbox.received(key.order_id)
    with closing(KlarnaClient(resolve_api_url(sandbox.url), "sandbox", "sandbox")) as client:
        reference = client.get_order(key.order_id).merchant_reference1
    return KilledOrder(
        push,
        [entry.event for entry in records.timeline(redis, key) if not entry.call],
        requests,
        messages,
        reference,
        sandbox.order(key.order_id)["acknowledge_effects"],
    )


@pytest.mark.parametrize(("call", "moment"), STEPS, ids=str)
def test_a_worker_killed_there_repeats_one_call_at_the_most(
    killed: dict[tuple[str, Moment], KilledOrder], call: str, moment: Moment
) -> None:
    order = killed[call, moment]
    push, order_id = order.push, order.push.key.order_id

    assert (push.state, push.attempts, push.crashes) == (State.ACKNOWLEDGED, 2, 0)
    assert order.events == ["pushed", "crashed", "acknowledged"]
    repeats = {name: 1 + (name in {"get_order", call}) for name in CALLS}
    assert {name: order.times(name) for name in CALLS} | {
        "hand_over": len(order.messages)
    } == repeats
    assert len({message["message_id"] for message in order.messages}) == 1
    assert sum(message["taken"] and not message["repeat"] for message in order.messages) == 1
    assert order.messages[-1]["taken"]
    assert (push.reference1, order.reference) == (f"shop-{order_id}", f"shop-{order_id}")
    assert push.handed_over_at
    assert push.references_set_at
    assert order.acknowledge_effects == 1
    for name in ("update_merchant_references", "acknowledge"):
        used = {one["idempotency_key"] for one in order.requests if one["operation"] == name}
        assert len(used) == 1


# The hour of it is played in the simulator, `python -m devtools.simulation --only shop`.
TROUBLE: dict[str, tuple[str, dict[str, object]]] = {
    "failing": ("status", {"status": 500}),
    "hanging": ("timeout_before_effect", {"hold_s": 3}),
    "slow": ("slow", {"delay_s": 2}),
}
ROUNDS = 20

# Less than a thread of the shop is waited for, and more than a busy machine differs from itself.
UNNOTICED_S = 0.25


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_shop_in_trouble_is_noticed_by_no_other_account(
    redis_client: Redis, sandbox: SandboxControl, processes: Processes, tmp_path: Path, trouble: str
) -> None:
    worker = processes.worker(
        ACCOUNTS_FILE=str(accounts_file(tmp_path, sandbox)),
        **dict.fromkeys(("KLARNA_API_URL", "KLARNA_USERNAME", "KLARNA_PASSWORD"), ""),
        WORKER_CONCURRENCY="8",
        RETRY_DELAYS_S="1,1,1,1,1,1,1",
        OUTAGE_AFTER_FAILURES="3",
    )
    worker.wait_ready()
    ledger = Ledger(redis_client)

    def accept(account: str) -> PushKey:
        key = PushKey(account, sandbox.create_order())
        ledger.accept(key, datetime.now(UTC))
        return key

    def until_acknowledged() -> float:
        key = accept("other")
        poll(partial(_is_settled, redis_client, key), 60)
        push = records.get(redis_client, key)
        assert push
        assert (push.state, push.attempts) == (State.ACKNOWLEDGED, 1)
        assert push.acknowledged_at
        return (push.acknowledged_at - push.first_push_at).total_seconds()

    alone = median(until_acknowledged() for _ in range(ROUNDS))
    fault, params = TROUBLE[trouble]
    sandbox.add_fault(fault, operation="receiver", params=params)
    of_shop = [accept("shop") for _ in range(40)]
    poll(sandbox.received, 30, "nothing is handed over")
    beside = median(until_acknowledged() for _ in range(ROUNDS))
    sys.stdout.write(f"measured: {alone * 1000:.1f} ms alone, {beside * 1000:.1f} ms beside\n")
    assert beside - alone < UNNOTICED_S
    assert any(not _is_settled(redis_client, key) for key in of_shop)

    sandbox.clear_faults()
    for key in of_shop:
        poll(partial(_is_settled, redis_client, key), 60)
    pushes = [push for push in records.get_many(redis_client, of_shop) if push]
    assert {push.state for push in pushes} == {State.ACKNOWLEDGED}
    assert all(push.handed_over_at for push in pushes)
    taken = [message["order_id"] for message in sandbox.received() if message["taken"]]
    assert sorted(set(taken), key=str) == sorted(key.order_id for key in of_shop)
