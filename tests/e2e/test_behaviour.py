"""The table "What Klarna answers → what we do", row by row: real processes, the real sandbox.

Every row has an order and an account of its own, so that no row can disturb another. All are pushed
before the first test: the slow ones wait for their time-outs side by side, and are looked at last.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from devtools.local.embedded import EmbeddedServer
from devtools.local.processes import Processes, Web, Worker, poll
from devtools.local.sandbox_control import LoggedRequest, NewOrder, SandboxControl
from pushes.model import HoldReason, Push, PushKey, Reason, State
from pushes.operate import replay
from pushes.store import codec, keys, records
from pushes.store.ledger import Ledger
from worker.attempt.steps import idempotency_key

# Three time-outs of 10 s, the delays between them, and a machine that has other things to do.
PATIENCE_S = 90.0

# How RQ calls what the ledger calls by our words.
RQ_STATUS = {
    State.QUEUED: "queued",
    State.RUNNING: "started",
    State.RETRYING: "scheduled",
    State.HELD: "scheduled",
    State.ACKNOWLEDGED: "finished",
    State.NOT_NEEDED: "finished",
    State.DEAD: "failed",
}


@dataclass(frozen=True)
class FaultCase:
    """One fault of the sandbox; `shown` is what its request log says for the answer's status."""

    name: str
    shown: str
    params: Mapping[str, Any] = field(default_factory=dict)
    times: int | None = None
    takes_effect: bool = False
    slow: bool = False

    def only(self, times: int) -> "FaultCase":
        return FaultCase(self.name, self.shown, self.params, times, self.takes_effect, self.slow)


def answer(status: int, **params: Any) -> FaultCase:  # noqa: ANN401 - whatever the sandbox's fault takes
    return FaultCase("status", str(status), {"status": status, **params})


def order_shown(status: str = "AUTHORIZED", order_id: str = "{order_id}", **more: str) -> FaultCase:
    """A GET that shows the order like this; `{order_id}` becomes its id."""
    return answer(200, body=json.dumps({"order_id": order_id, "status": status, **more}))


@dataclass(frozen=True)
class Row:
    """One row of the table: what Klarna answers, and everything that must have come of it.

    `calls` are those that the sandbox has seen, in order: `GET 200` is a get_order answered with
    200, `ACK -` an acknowledge that got no answer.
    """

    name: str
    calls: str
    state: State
    reason: Reason | HoldReason | None = None
    on_get: tuple[FaultCase, ...] = ()
    on_acknowledge: tuple[FaultCase, ...] = ()
    order: NewOrder = field(default_factory=NewOrder)
    attempts: int = 1
    failures: int = 0
    not_found: int = 0
    effects: int | None = None
    # One key until Klarna has judged the order; after a 404 to acknowledge the next is new.
    keys: int = 1

    @property
    def slow(self) -> bool:
        return any(fault.slow for fault in (*self.on_get, *self.on_acknowledge))

    @property
    def outcome(self) -> dict[str, object]:
        """What `Service.outcome` answers once the row is over."""
        acknowledged = self.state is State.ACKNOWLEDGED
        return {
            "state": self.state,
            "reason": self.reason,
            "calls": self.calls,
            "events": ["pushed", *["retrying"] * (self.attempts - 1), str(self.state)],
            "attempts": self.attempts,
            "failures": self.failures,
            "not_found": self.not_found,
            "crashes": 0,
            "pushes": 1,
            "next attempt": None,
            "idempotency keys": self.keys if "ACK" in self.calls else 0,
            "effects at Klarna": int(acknowledged) if self.effects is None else self.effects,
            "is noted as acknowledged": acknowledged,
            "RQ says": RQ_STATUS[self.state],
        }


# Nobody knows whether it took effect: the same call is made again with the same key.
TRANSIENT = {
    "409": answer(409),
    "500": answer(500),
    "501": answer(501),
    "502": answer(502),
    "503": answer(503),
    "503 as a page": answer(503, body="<html>down</html>", content_type="text/html"),
    "504": answer(504),
    "500 without a code": FaultCase("no_error_code", "500", {"status": 500}),
    "a reset": FaultCase("reset_before_effect", "-"),
    "a reset too late": FaultCase("reset_after_effect", "-", takes_effect=True),
    "truncated JSON": FaultCase("truncated_json", "200", takes_effect=True),
    "a short body": FaultCase("short_body", "200", takes_effect=True),
    "200 that is a page": FaultCase("not_json_200", "200"),
    "200 with an error code": answer(200, body='{"error_code": "CONFLICT"}'),
    "a huge body": FaultCase(
        "huge_body", "200", {"size_bytes": 9 * 1024 * 1024}, takes_effect=True
    ),
}
SLOW = {
    "a time-out": FaultCase("timeout_before_effect", "-", {"hold_s": 40}, slow=True),
    "a time-out too late": FaultCase(
        "timeout_after_effect", "-", {"hold_s": 40}, takes_effect=True, slow=True
    ),
    "a body in drips": FaultCase(
        "drip", "200", {"byte_interval_s": 1}, takes_effect=True, slow=True
    ),
    "a head in drips": FaultCase(
        "drip_headers", "-", {"byte_interval_s": 1}, takes_effect=True, slow=True
    ),
}
REJECTING = {str(status): answer(status) for status in (400, 405, 410, 413, 418, 422, 451)} | {
    "400 without a code": FaultCase("no_error_code", "400", {"status": 400}),
    "400 as a page": answer(400, body="<html>bad</html>", content_type="text/html"),
}
UNKNOWN_ORDER = {
    "404 JSON": FaultCase("no_such_order", "404"),
    "404 without a body": FaultCase("empty_404", "404"),
    "404 without a code": FaultCase("no_error_code", "404", {"status": 404}),
}
# No order of the account can pass until an operator acts.
MISCONFIGURED = {
    "401 as a page": FaultCase("unauthorized_html", "401"),
    "401 JSON": answer(401),
    "403 as a page": FaultCase("forbidden_html", "403"),
    "302": FaultCase("redirect", "302"),
    "301": answer(301, headers={"Location": "https://login.example/"}),
    "307": answer(307, headers={"Location": "https://login.example/"}),
    "308 to nowhere": answer(308),
    "304": answer(304),
    "404 as a page": FaultCase("html_404", "404"),
}


def _transient_rows() -> Iterator[Row]:
    for name, fault in {**TRANSIENT, **SLOW}.items():
        once = fault.only(1)
        yield Row(
            f"{name} to a GET, once",
            f"GET {fault.shown}, GET 200, ACK 204",
            State.ACKNOWLEDGED,
            on_get=(once,),
            attempts=2,
            failures=1,
        )
        yield Row(
            f"{name} to an acknowledge, once",
            f"GET 200, ACK {fault.shown}, GET 200, ACK 204",
            State.ACKNOWLEDGED,
            on_acknowledge=(once,),
            attempts=2,
            failures=1,
        )
    for name, fault in {**TRANSIENT, "a time-out": SLOW["a time-out"]}.items():
        yield Row(
            f"{name} to every GET",
            ", ".join([f"GET {fault.shown}"] * 3),
            State.DEAD,
            Reason.RETRIES_EXHAUSTED,
            on_get=(fault,),
            attempts=3,
            failures=2,
        )
    for name, fault in TRANSIENT.items():
        yield Row(
            f"{name} to every acknowledge",
            ", ".join([f"GET 200, ACK {fault.shown}"] * 3),
            State.DEAD,
            Reason.RETRIES_EXHAUSTED,
            on_acknowledge=(fault,),
            attempts=3,
            failures=2,
            effects=int(fault.takes_effect),
        )


def _refused_rows() -> Iterator[Row]:
    for name, fault in REJECTING.items():
        shown = fault.shown
        yield Row(f"{name} to a GET", f"GET {shown}", State.DEAD, Reason.REJECTED, on_get=(fault,))
        yield Row(
            f"{name} to an acknowledge",
            f"GET 200, ACK {shown}",
            State.DEAD,
            Reason.REJECTED,
            on_acknowledge=(fault,),
        )
    for name, fault in UNKNOWN_ORDER.items():
        yield Row(
            f"{name} to every GET",
            "GET 404, GET 404, GET 404",
            State.DEAD,
            Reason.NO_SUCH_ORDER,
            on_get=(fault,),
            attempts=3,
            not_found=2,
        )
        yield Row(
            f"{name} to every acknowledge",
            "GET 200, ACK 404, GET 200, ACK 404, GET 200, ACK 404",
            State.DEAD,
            Reason.NO_SUCH_ORDER,
            on_acknowledge=(fault,),
            attempts=3,
            not_found=2,
            keys=3,
        )
        yield Row(
            f"{name} to a GET, twice",
            "GET 404, GET 404, GET 200, ACK 204",
            State.ACKNOWLEDGED,
            on_get=(fault.only(2),),
            attempts=3,
            not_found=2,
        )


NOT_ALLOWED = FaultCase("not_allowed", "403")

ROWS = [
    Row("an open order", "GET 200, ACK 204", State.ACKNOWLEDGED),
    *(
        Row(f"{status}", "GET 200, ACK 204", State.ACKNOWLEDGED, order={"status": status})
        for status in ("PART_CAPTURED", "CAPTURED")
    ),
    *(
        Row(f"{status}", "GET 200", State.NOT_NEEDED, order={"status": status})
        for status in ("CANCELLED", "EXPIRED", "CLOSED")
    ),
    *(
        Row(
            f"fraud {status}",
            "GET 200, ACK 204",
            State.ACKNOWLEDGED,
            order={"fraud_status": status},
        )
        for status in ("PENDING", "REJECTED", "STOPPED")
    ),
    Row(
        "a status nobody knows",
        "GET 200, ACK 204",
        State.ACKNOWLEDGED,
        on_get=(order_shown("ON_THE_MOON", fraud_status="PERHAPS"),),
    ),
    Row(
        "an order in another account of the same shop",
        "GET 200",
        State.DEAD,
        Reason.ORDER_MISMATCH,
        on_get=(FaultCase("wrong_order_id", "200"),),
    ),
    Row(
        "a GET that shows no order id",
        "GET 200, GET 200, ACK 204",
        State.ACKNOWLEDGED,
        on_get=(answer(200, body='{"status": "AUTHORIZED"}').only(1),),
        attempts=2,
        failures=1,
    ),
    Row(
        "204 to a GET",
        "GET 204, GET 200, ACK 204",
        State.ACKNOWLEDGED,
        on_get=(answer(204).only(1),),
        attempts=2,
        failures=1,
    ),
    *(
        Row(
            f"{status} to an acknowledge",
            f"GET 200, ACK {status}",
            State.ACKNOWLEDGED,
            on_acknowledge=(answer(status, body=body, effect=True),),
        )
        for status, body in ((200, ""), (201, "{}"), (202, '{"order_id": "of no interest"}'))
    ),
    Row(
        "a slow body within the limits",
        "GET 200, ACK 200",
        State.ACKNOWLEDGED,
        on_acknowledge=(FaultCase("drip", "200", {"byte_interval_s": 0.02}, takes_effect=True),),
    ),
    Row(
        "an order that stays invisible",
        "GET 404, GET 404, GET 404",
        State.DEAD,
        Reason.NO_SUCH_ORDER,
        order={"visible_after_s": 3600},
        attempts=3,
        not_found=2,
    ),
    Row(
        "403 NOT_ALLOWED for an open order",
        "GET 200, ACK 403, GET 200",
        State.DEAD,
        Reason.NOT_ALLOWED,
        on_acknowledge=(NOT_ALLOWED,),
    ),
    *(
        Row(
            f"403 NOT_ALLOWED for an order that is {status} meanwhile",
            "GET 200, ACK 403, GET 200",
            State.NOT_NEEDED,
            on_get=(order_shown().only(1),),
            order={"status": status},
        )
        for status in ("CANCELLED", "EXPIRED", "CLOSED")
    ),
    Row(
        "403 NOT_ALLOWED and a second look that fails",
        "GET 200, ACK 403, GET 503, GET 200",
        State.NOT_NEEDED,
        on_get=(order_shown().only(1), answer(503).only(1)),
        order={"status": "CANCELLED"},
        attempts=2,
        failures=1,
    ),
    Row(
        "429 without Retry-After to many GETs",
        "GET 429, GET 429, GET 429, GET 429, GET 200, ACK 204",
        State.ACKNOWLEDGED,
        on_get=(FaultCase("rate_limited", "429", {"retry_after_s": None}, times=4),),
        attempts=5,
    ),
    Row(
        "429 to an acknowledge",
        "GET 200, ACK 429, GET 200, ACK 204",
        State.ACKNOWLEDGED,
        on_acknowledge=(FaultCase("rate_limited", "429", {"retry_after_s": 1}, times=1),),
        attempts=2,
    ),
    *_transient_rows(),
    *_refused_rows(),
]

_SPARE_ACCOUNTS = 80

# What the worker asks for to tell a refused account from a refused order.
NO_ORDER = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Service:
    """One web and one worker process over a Redis and a sandbox, and the view on all of them."""

    web: Web
    worker: Worker
    sandbox: SandboxControl
    ledger: Ledger
    token: str = ""
    _numbers: Iterator[int] = field(default_factory=count)

    def new_order(self, **order: Any) -> PushKey:  # noqa: ANN401 - a NewOrder
        """Create an order at Klarna, of an account that no other order has."""
        return PushKey(f"shop-{next(self._numbers)}", self.sandbox.create_order(**order))

    def add_faults(self, key: PushKey, operation: str, *faults: FaultCase) -> None:
        for fault in faults:
            params = dict(fault.params)
            if "body" in params:
                params["body"] = params["body"].replace("{order_id}", key.order_id)
            times = {} if fault.times is None else {"times": fault.times}
            self.sandbox.add_fault(
                fault.name,
                operation=operation,
                order_id=key.order_id,
                params=params,
                **times,
            )

    def push(self, key: PushKey) -> State:
        """Push it as Klarna does; the state that the answer names."""
        url = f"{self.web.url}/push/{key.account}/{key.order_id}"
        answered = requests.post(url, params={"token": self.token}, timeout=10)
        assert answered.status_code == 200, answered.text
        return State.of(answered.json()["state"])

    def record(self, key: PushKey) -> Push:
        push = records.get(self.ledger.redis, key)
        assert push is not None
        return push

    def wait_until(self, key: PushKey, *states: State, attempts: int = 0) -> Push:
        """Until the push is in one of the states and has begun so many attempts."""

        def there() -> Push | None:
            push = self.record(key)
            return push if push.state in states and push.attempts >= attempts else None

        try:
            return poll(there, PATIENCE_S, f"not {states} after {PATIENCE_S} s")
        except TimeoutError as error:
            error.add_note(f"{self.record(key)}\n{self.calls(key)}")
            raise

    def make_due(self, key: PushKey) -> None:
        """Let the next attempt be due now: RQ's schedule has its time, or the account's hold."""
        if self.record(key).state is State.HELD:
            assert self.ledger.redis.hset(keys.hold(key.account), "probe_at", "1") == 0
            self.ledger.redis.sadd(keys.WORK_ARRIVED, key.account)
            return
        registry = self.ledger.rq.queue.scheduled_job_registry
        moved = self.ledger.redis.zadd(registry.key, {keys.job_id(key): 1}, xx=True, ch=True)
        assert moved == 1

    def age(self, key: PushKey, by: timedelta, *names: str) -> None:
        """Make times of the record so much older."""
        record = self.record(key)
        older = {name: getattr(record, name) - by for name in names}
        written = codec.encode(replace(record, **older))
        self.ledger.redis.hset(
            keys.record(key), items=[word for pair in written.items() for word in pair]
        )

    def calls(self, key: PushKey) -> str:
        return ", ".join(spelled(request) for request in self.sandbox.requests(key.order_id))

    def keys_used(self, key: PushKey) -> list[str]:
        """The idempotency keys of the acknowledges, each once, in order."""
        asked = acknowledges(self.sandbox.requests(key.order_id))
        return list(dict.fromkeys(str(request["idempotency_key"]) for request in asked))

    def outcome(self, key: PushKey) -> dict[str, object]:
        """Everything that came of a push: in the ledger, at Klarna, and as RQ sees it."""
        push = self.record(key)
        timeline = records.timeline(self.ledger.redis, key)
        seen = self.sandbox.requests(key.order_id)
        assert_verified_before_acknowledged(seen)
        assert [entry.call for entry in timeline if entry.call] == [r["operation"] for r in seen]
        job = Job.fetch(keys.job_id(key), self.ledger.redis, serializer=JSONSerializer)
        return {
            "state": push.state,
            "reason": push.reason,
            "calls": self.calls(key),
            "events": [entry.event for entry in timeline if entry.event != "call"],
            "attempts": push.attempts,
            "failures": push.failures,
            "not_found": push.not_found,
            "crashes": push.crashes,
            "pushes": push.pushes,
            "next attempt": push.next_attempt_at,
            "idempotency keys": len(self.keys_used(key)),
            "effects at Klarna": self.sandbox.order(key.order_id)["acknowledge_effects"],
            "is noted as acknowledged": push.acknowledged_at is not None,
            "RQ says": job.get_status(refresh=False).value,
        }


def spelled(request: LoggedRequest) -> str:
    names = {"get_order": "GET", "acknowledge": "ACK"}
    return f"{names[str(request['operation'])]} {request['status'] or '-'}"


def acknowledges(seen: list[LoggedRequest]) -> list[LoggedRequest]:
    return [request for request in seen if request["operation"] == "acknowledge"]


def assert_verified_before_acknowledged(seen: list[LoggedRequest]) -> None:
    """Each acknowledge follows a GET of its own order which Klarna answered with the order.

    A GET counts for one acknowledge only: the next attempt makes its own.
    """
    verified: set[str | None] = set()
    for request in seen:
        if request["operation"] == "get_order":
            if request["status"] == 200:
                verified.add(request["order_id"])
        else:
            assert request["operation"] == "acknowledge"
            assert request["order_id"] in verified, f"acknowledged unverified: {seen}"
            verified.remove(request["order_id"])


def start_service(
    processes: Processes, redis: Redis, sandbox: SandboxControl, accounts_file: Path, **env: str
) -> Service:
    """Start both processes with an account for every row and some to spare; short delays."""
    settings = sandbox.settings()
    accounts_file.write_text(
        "\n".join(
            f'[accounts.shop-{number}]\napi_url = "{sandbox.url}"\n'
            f'username = "{settings["username"]}"\npassword = "{settings["password"]}"\n'
            for number in range(len(ROWS) + _SPARE_ACCOUNTS)
        )
    )
    env |= {
        "ACCOUNTS_FILE": str(accounts_file),
        "RETRY_DELAYS_S": "0.1,0.1",
        "NOT_FOUND_DELAYS_S": "0.1,0.1",
        **dict.fromkeys(("KLARNA_API_URL", "KLARNA_USERNAME", "KLARNA_PASSWORD"), ""),
    }
    web, worker = processes.web(**env), processes.worker(**env)
    token = env.get("PUSH_TOKEN", "")
    return Service(web.wait_ready(), worker.wait_ready(), sandbox, Ledger(redis), token)


def push_row(service: Service, row: Row) -> PushKey:
    key = service.new_order(**row.order)
    service.add_faults(key, "get_order", *row.on_get)
    service.add_faults(key, "acknowledge", *row.on_acknowledge)
    service.push(key)
    return key


@pytest.fixture(scope="module")
def service(
    sandbox_process: tuple[SandboxControl, dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    sandbox, first_settings = sandbox_process
    sandbox.reset()
    sandbox.settings(**first_settings)
    directory = tmp_path_factory.mktemp("behaviour")
    with EmbeddedServer() as server, Redis.from_url(server.url) as redis:
        processes = Processes({"REDIS_URL": server.url}, directory)
        try:
            # A refused GET here means the account: Klarna refuses the look at another order, too.
            sandbox.add_fault("unauthorized_html", operation="get_order", order_id=NO_ORDER)
            yield start_service(processes, redis, sandbox, directory / "accounts.toml")
        finally:
            processes.kill_all()


@pytest.fixture(scope="module", autouse=True)
def pushed(service: Service) -> dict[str, PushKey]:
    """The push of every row, by the row's name; the slow ones first."""
    rows = sorted(ROWS, key=lambda row: not row.slow)
    return {row.name: push_row(service, row) for row in rows}


@dataclass
class HoldCase:
    """A push that was held twice; `looks` are its records after each of the two attempts."""

    key: PushKey
    looks: list[Push] = field(default_factory=list)


@pytest.fixture(scope="module")
def holds(service: Service) -> dict[tuple[str, str], HoldCase]:
    """For every fault and operation: a push that was held twice, then the fault was gone."""
    found = {}
    for name, fault in MISCONFIGURED.items():
        for operation in ("get_order", "acknowledge"):
            found[name, operation] = HoldCase(service.new_order())
            service.add_faults(found[name, operation].key, operation, fault.only(2))
    for hold in found.values():
        service.push(hold.key)
    for attempts in (1, 2):
        for hold in found.values():
            hold.looks.append(service.wait_until(hold.key, State.HELD, attempts=attempts))
        for hold in found.values():
            service.make_due(hold.key)
    return found


@pytest.mark.parametrize("operation", ["get_order", "acknowledge"])
@pytest.mark.parametrize("name", MISCONFIGURED)
def test_it_holds_the_push_and_goes_on_when_the_fault_is_gone(
    service: Service, holds: dict[tuple[str, str], HoldCase], name: str, operation: str
) -> None:
    hold, shown = holds[name, operation], MISCONFIGURED[name].shown

    service.wait_until(hold.key, State.ACKNOWLEDGED)

    for push in hold.looks:
        assert push.next_attempt_at is None
        assert (push.reason, push.failures, push.not_found) == (HoldReason.CREDENTIALS, 0, 0)
    refused = f"GET {shown}" if operation == "get_order" else f"GET 200, ACK {shown}"
    assert service.outcome(hold.key) == {
        **Row("", f"{refused}, {refused}, GET 200, ACK 204", State.ACKNOWLEDGED).outcome,
        "attempts": 3,
        "events": ["pushed", "held", "held", "acknowledged"],
    }


def test_it_holds_on_a_403_in_json_to_a_get(service: Service) -> None:
    key = service.new_order()
    service.add_faults(key, "get_order", FaultCase("not_allowed", "403", times=1))
    service.push(key)

    held = service.wait_until(key, State.HELD)
    service.make_due(key)
    service.wait_until(key, State.ACKNOWLEDGED)

    assert (held.reason, held.failures) == (HoldReason.CREDENTIALS, 0)
    assert service.calls(key) == "GET 403, GET 200, ACK 204"


def test_it_never_spends_a_held_push_however_long_the_fault_lasts(service: Service) -> None:
    key = service.new_order()
    service.add_faults(key, "any", MISCONFIGURED["401 as a page"])
    service.push(key)

    for attempts in range(1, 8):  # more than there are retries
        service.wait_until(key, State.HELD, attempts=attempts)
        service.make_due(key)
    push = service.wait_until(key, State.HELD, attempts=8)

    assert (push.failures, push.not_found, push.crashes, push.attempts) == (0, 0, 0, 8)
    assert service.calls(key) == ", ".join(["GET 401"] * 8)


def test_it_acknowledges_an_order_that_becomes_visible_after_a_while(service: Service) -> None:
    key = service.new_order(visible_after_s=3600)
    service.push(key)
    service.wait_until(key, State.RETRYING)

    order = f"{service.sandbox.url}/_control/orders/{key.order_id}"
    requests.patch(order, json={"visible_after_s": 0}, timeout=10).raise_for_status()
    push = service.wait_until(key, State.ACKNOWLEDGED)

    unseen, *rest = service.calls(key).split(", ")
    assert unseen == "GET 404"
    assert rest[-2:] == ["GET 200", "ACK 204"]
    assert (push.not_found, push.failures) == (push.attempts - 1, 0)


def test_it_never_asks_before_the_pause_is_over_that_klarna_asked_for(service: Service) -> None:
    pushes = [service.new_order() for _ in range(8)]
    for key in pushes:
        service.add_faults(
            key, "get_order", FaultCase("rate_limited", "429", {"retry_after_s": 2}, 1)
        )
        service.push(key)
        time.sleep(1 / len(pushes))  # at every part of a second: what is cut off whole ones shows

    waited = []
    for key in pushes:
        service.wait_until(key, State.ACKNOWLEDGED)
        first, second, _acknowledge = service.sandbox.requests(key.order_id)
        waited.append(at(second) - at(first))

    # The clocks' milliseconds are cut, not rounded.
    assert min(waited) >= timedelta(seconds=1.998), waited
    assert all(service.record(key).failures == 0 for key in pushes)


def at(request: LoggedRequest) -> datetime:
    return datetime.fromisoformat(request["at"])


def test_it_counts_a_push_that_waits_and_makes_no_second_job(service: Service) -> None:
    key = service.new_order()
    service.add_faults(key, "get_order", MISCONFIGURED["401 as a page"].only(1))
    service.push(key)
    service.wait_until(key, State.HELD)

    states = [service.push(key) for _ in range(3)]
    service.make_due(key)
    service.wait_until(key, State.ACKNOWLEDGED)

    assert states == [State.HELD] * 3
    assert service.record(key).pushes == 4
    assert service.calls(key) == "GET 401, GET 200, ACK 204"


def test_it_counts_a_push_that_runs_and_makes_no_second_job(service: Service) -> None:
    key = service.new_order()
    service.add_faults(key, "get_order", FaultCase("drip", "200", {"byte_interval_s": 0.001}, 1))
    service.push(key)
    service.wait_until(key, State.RUNNING)

    state = service.push(key)
    service.wait_until(key, State.ACKNOWLEDGED)

    assert state is State.RUNNING
    assert service.record(key).pushes == 2
    assert service.calls(key) == "GET 200, ACK 204"


def test_it_counts_a_push_of_an_order_that_was_just_acknowledged(service: Service) -> None:
    key = service.new_order()
    service.push(key)
    service.wait_until(key, State.ACKNOWLEDGED)

    state = service.push(key)

    assert state is State.ACKNOWLEDGED
    assert service.outcome(key) == {
        **Row("", "GET 200, ACK 204", State.ACKNOWLEDGED).outcome,
        "pushes": 2,
    }


def test_it_acknowledges_again_when_klarna_pushes_long_after(service: Service) -> None:
    key = service.new_order()
    service.push(key)
    service.wait_until(key, State.ACKNOWLEDGED)
    service.age(key, timedelta(minutes=6), "changed_at", "acknowledged_at", "last_push_at")

    state = service.push(key)
    service.wait_until(key, State.ACKNOWLEDGED, attempts=2)

    assert state is State.QUEUED
    assert service.calls(key) == "GET 200, ACK 204, GET 200, ACK 204"
    # Klarna did not hear us the first time: a repetition of the first answer would help nobody.
    assert [r["replayed"] for r in acknowledges(service.sandbox.requests(key.order_id))] == [
        False,
        False,
    ]
    assert service.sandbox.order(key.order_id)["acknowledge_effects"] == 2


def test_it_revives_a_dead_push_with_fresh_attempts(service: Service) -> None:
    key = service.new_order()
    service.add_faults(key, "get_order", TRANSIENT["503"].only(3 + 2))
    service.push(key)
    service.wait_until(key, State.DEAD)

    state = service.push(key)
    push = service.wait_until(key, State.ACKNOWLEDGED)

    assert state is State.QUEUED
    assert (push.attempts, push.failures, push.pushes, push.reason) == (6, 2, 2, None)
    assert service.calls(key) == "GET 503, GET 503, GET 503, GET 503, GET 503, GET 200, ACK 204"


def test_it_leaves_a_discarded_push_alone(service: Service) -> None:
    key = service.new_order()
    service.add_faults(key, "get_order", REJECTING["400"])
    service.push(key)
    service.wait_until(key, State.DEAD)
    replay.discard(service.ledger, key, by="a test", why="it is one", now=datetime.now(UTC))

    state = service.push(key)

    assert state is State.DEAD
    push = service.record(key)
    assert (push.state, push.discarded, push.pushes, push.attempts) == (State.DEAD, True, 2, 1)
    assert service.calls(key) == "GET 400"


def test_it_acknowledges_a_dead_push_that_an_operator_replays(service: Service) -> None:
    key = service.new_order()
    service.add_faults(key, "get_order", REJECTING["400"].only(1))
    service.push(key)
    service.wait_until(key, State.DEAD)

    replay.replay(service.ledger, key, by="a test", why="mended", now=datetime.now(UTC))
    service.wait_until(key, State.ACKNOWLEDGED)

    assert service.outcome(key) == {
        **Row("", "GET 400, GET 200, ACK 204", State.ACKNOWLEDGED, attempts=2).outcome,
        "events": ["pushed", "dead", "replayed", "acknowledged"],
    }


def test_it_asks_anew_when_an_operator_replays_what_klarna_had_refused(service: Service) -> None:
    """Klarna keeps its first answer for a key: with the old key it would say no for 24 h."""
    key = service.new_order(status="CANCELLED")
    service.add_faults(key, "get_order", order_shown())
    service.push(key)
    assert service.wait_until(key, State.DEAD).reason is Reason.NOT_ALLOWED
    service.sandbox.change_order(key.order_id, status="AUTHORIZED")

    replay.replay(service.ledger, key, by="a test", why="it is open now", now=datetime.now(UTC))
    service.wait_until(key, State.ACKNOWLEDGED, State.DEAD, attempts=2)

    assert service.calls(key) == "GET 200, ACK 403, GET 200, GET 200, ACK 204"
    assert service.record(key).state is State.ACKNOWLEDGED
    assert service.sandbox.order(key.order_id)["acknowledge_effects"] == 1


def test_it_renews_an_idempotency_key_that_klarna_has_forgotten(service: Service) -> None:
    key = service.new_order()
    service.add_faults(key, "acknowledge", MISCONFIGURED["401 as a page"].only(2))
    service.push(key)
    service.wait_until(key, State.HELD)
    service.make_due(key)
    service.wait_until(key, State.HELD, attempts=2)
    same = service.keys_used(key)

    service.age(key, timedelta(hours=24), "idempotent_since")
    service.make_due(key)
    service.wait_until(key, State.ACKNOWLEDGED)

    assert len(same) == 1
    assert len(service.keys_used(key)) == 2


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_it_ends_as_the_table_says(service: Service, pushed: dict[str, PushKey], row: Row) -> None:
    key = pushed[row.name]

    service.wait_until(key, row.state, attempts=row.attempts)

    assert service.outcome(key) == row.outcome


def test_it_tells_an_operator_of_every_dead_push_what_to_do(
    service: Service, pushed: dict[str, PushKey]
) -> None:
    for row in (row for row in ROWS if row.state is State.DEAD):
        key = pushed[row.name]
        push = service.wait_until(key, State.DEAD)
        job = Job.fetch(keys.job_id(key), service.ledger.redis, serializer=JSONSerializer)
        result = job.latest_result()
        assert isinstance(push.reason, Reason)
        assert push.last_error
        assert result is not None
        assert f"{push.reason}: {push.last_error}" in str(result.exc_string)
        assert push.reason.next_step in str(result.exc_string)


def test_it_names_the_same_idempotency_key_after_the_record_was_read_back() -> None:
    """The first attempt has its window at hand, the next one reads it from Redis: rounded."""
    key = PushKey("shop", "0a1b2c3d-4e5f-6a7b-8c9d-0e1f2a3b4c5d")
    noon = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    windows = [
        noon + timedelta(milliseconds=number, microseconds=fraction)
        for number in range(1000)
        for fraction in (0, 1, 499, 500, 501, 999)
    ]

    changed = [
        window.isoformat()
        for window in windows
        if idempotency_key(key, window) != idempotency_key(key, codec.moment(codec.epoch(window)))
    ]

    assert changed == []


def test_it_uses_no_idempotency_key_for_two_orders(
    service: Service, pushed: dict[str, PushKey]
) -> None:
    rows = [row for row in ROWS if "ACK" in row.calls]
    for row in rows:
        service.wait_until(pushed[row.name], row.state)

    used = [used for row in rows for used in service.keys_used(pushed[row.name])]

    assert len(used) == sum(row.keys for row in rows) == len(set(used))


def test_both_processes_live_through_all_of_it(
    service: Service, pushed: dict[str, PushKey]
) -> None:
    for row in ROWS:
        service.wait_until(pushed[row.name], row.state)

    assert (service.web.exit_code, service.worker.exit_code) == (None, None)
    os.kill(service.web.pid, 0)
    assert "worker.task_failed_here" not in service.worker.log
    assert "attempt.failed_here" not in service.worker.log
    assert "attempt.superseded" not in service.worker.log
    assert "push.failed" not in service.web.log
