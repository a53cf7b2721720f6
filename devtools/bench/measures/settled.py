"""What a settled order takes in Redis, its own overhead included: the day it settles, and later.

By which texts it is found is measured by `devtools.bench.ops`, over a million orders: few orders
would share the keys of that index among themselves.
"""

from datetime import UTC, datetime, timedelta

from redis import Redis

from devtools.bench import systems
from devtools.bench.figures import Figures, Key
from devtools.bench.plan import Plan
from devtools.bench.testbed import BenchTestbed
from pushes import life
from pushes.model import Change, Entry, OrderSnapshot, Push, PushKey
from pushes.store import keys
from pushes.store.ledger import Ledger
from worker.names import new_execution_id

ORDERS = 5_000
_BATCH = 250

TODAY = Key(systems.OURS.name, "", "bytes_per_order_settled_today")
LATER = Key(systems.OURS.name, "", "bytes_per_settled_order")

# What expires minutes, and what expires a day after the end of an order.
_SOON = ("rq:job:*", "rq:results:*")
_IN_A_DAY = (*_SOON, f"{keys.PREFIX}:timeline:*")
# What search adds: see above.
_SEARCH = tuple(f"{keys.PREFIX}:{part}:*" for part in ("references", "settled-references", "calls"))

_ORDER = OrderSnapshot(
    status="AUTHORIZED",
    fraud_status="ACCEPTED",
    order_amount=19900,
    captured_amount=0,
    refunded_amount=0,
    remaining_authorized_amount=19900,
    purchase_currency="SEK",
    expires_at=datetime.now(UTC) + timedelta(days=28),
    klarna_reference="K4LMR8EF",
    merchant_reference1="1000234",
)
_CORRELATION_ID = "6a9f3c1e-2b7d-4e58-9a01-c4d5e6f70812"


def measure(testbed: BenchTestbed, _plan: Plan, figures: Figures) -> None:
    """Settle orders as a worker does, with what Klarna shows of them, and look at the memory.

    What will have expired by then is deleted as it comes, for Redis to be as it is then.
    """
    for figure, expired in ((TODAY, _SOON), (LATER, _IN_A_DAY)):
        testbed.clear()
        figures.note(figure, _bytes_per_order(testbed.redis, (*expired, *_SEARCH)))


def _bytes_per_order(redis: Redis, expired: tuple[str, ...]) -> float:
    ledger, now = Ledger(redis), datetime.now(UTC)
    before = _used(redis)
    for start in range(0, ORDERS, _BATCH):
        numbers = range(start, start + _BATCH)
        orders = [PushKey("default", f"{one:08x}-1111-6222-a333-444455556666") for one in numbers]
        begun = [change.after for key in orders if (change := _begun(ledger, key, now))]
        ledger.commit_many([_acknowledged(push) for push in begun])
        for name in (name for pattern in expired for name in redis.scan_iter(pattern, count=1000)):
            redis.delete(name)
        redis.delete(ledger.rq.queue.finished_job_registry.key)
    return (_used(redis) - before) / ORDERS


def _begun(ledger: Ledger, key: PushKey, now: datetime) -> Change | None:
    push = ledger.accept(key, now)
    redis, queue = ledger.redis, ledger.rq.queue
    redis.lmove(queue.key, queue.intermediate_queue_key)  # as a worker claims it
    redis.zrem(keys.ready(key.account, push.lane), keys.job_id(key))
    return ledger.advance(
        key, lambda one: life.started(one, "bench", new_execution_id(), now), push
    )


def _acknowledged(push: Push) -> Change:
    at = datetime.now(UTC)
    calls = (("get_order", 200), ("acknowledge", 204))
    entries = [
        Entry(at, "call", call, status, 120, correlation_id=_CORRELATION_ID)
        for call, status in calls
    ]
    return life.reported(life.acknowledged(push, at), tuple(entries), _ORDER, at)


def _used(redis: Redis) -> int:
    return int(redis.info("memory")["used_memory"])
