"""The table of periodic tasks: what every worker does besides attempts, and how often.

Each is safe to be done by several workers at a time, and by one again after it failed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from notify.notifier import EVERY_S, Notifier
from pushes.accounts import clock as redis_clock
from pushes.accounts.clock import Now
from pushes.accounts.serving import TTL_S, Serving
from pushes.operate.runs.executor import STEP_EVERY_S, RunExecutor
from pushes.store.ledger import Ledger
from pushes.store.rq_mirror import LEASE_S
from worker.attempt.account_health import AccountHealth
from worker.attempt.under_way import UnderWay
from worker.claiming.quota import QuotaUse
from worker.clock import Clock
from worker.periodic import due, prune, resends, unserved
from worker.periodic.ping import Ping
from worker.periodic.recovery import Recovery
from worker.periodic.resume import HeldBacklog
from worker.periodic.samples import Samples

# The task that a process needs which makes attempts and does nothing else.
LEASES = "leases"

# Leases are renewed three times before they lapse.
_RENEW_EVERY_S = LEASE_S / 3

# A retry waits at most this much longer than planned.
_DUE_EVERY_S = 0.5

# With the lease this bounds how long a kill is felt: 15 s + 5 s.
_RECOVER_EVERY_S = 5

# A re-send is missed ten minutes after it was expected: half a minute more tells nobody too late.
_RESENDS_EVERY_S = 30

# What expired is taken out of the indexes this often; nobody waits for it.
_PRUNE_EVERY_S = 60

# A worker's accounts count as served until it has missed three of these.
_ANNOUNCE_EVERY_S = TTL_S / 3

# Orders of an account that nobody serves have hours; nobody waits for this.
_UNSERVED_EVERY_S = 30

# Each minute, and looked at oftener: whoever called last holds the others off for 50 s.
_PING_EVERY_S = 10

# Of each minute one sample is kept; looked at oftener, so that it comes early in the minute.
_SAMPLES_EVERY_S = 10

# What was used of the quota is in the metrics so much later, and so much is lost by a kill.
_QUOTA_EVERY_S = 5


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """Something to do every so often; one that `queues` returns how many pushes it queued.

    What does not go `by_our_clock` is done also while our clock is wrong.
    """

    name: str
    every_s: float
    act: Callable[[], object]
    queues: bool = False
    by_our_clock: bool = True


class LeasesTell(Protocol):
    """Whether a lease that lapsed means a death: `worker.redis_health.RedisHealth`."""

    @property
    def leases_tell(self) -> bool:
        """Whether everybody had time to renew theirs."""


def table(  # noqa: PLR0913 - the parts of a worker that have something to do
    *,
    ledger: Ledger,
    under_way: UnderWay,
    accounts: AccountHealth,
    backlog: HeldBacklog,
    serving: Serving,
    use: QuotaUse,
    redis_now: Now | None,
    redis_health: LeasesTell,
    clock: Clock,
    runs: RunExecutor,
    ping: Ping,
    notifiers: Iterable[Notifier],
) -> list[PeriodicTask]:
    """List the tasks of one worker process."""
    recovery = Recovery(ledger)

    def recover() -> None:
        alive = under_way.alive()
        recovery.scan(clock.now(), alive, leases_tell=redis_health.leases_tell)

    def find_unserved() -> None:
        if redis_health.leases_tell:  # else other workers had no time to say what they serve
            unserved.scan(ledger.redis, serving, redis_now)

    def notify(notifier: Notifier) -> PeriodicTask:
        def scan() -> None:  # all that send go by one clock
            notifier.scan(redis_clock.read(ledger.redis, redis_now))

        return PeriodicTask(notifier.name, EVERY_S, scan, by_our_clock=False)

    return [
        PeriodicTask(LEASES, _RENEW_EVERY_S, under_way.renew_leases, by_our_clock=False),
        PeriodicTask("due", _DUE_EVERY_S, lambda: due.queue_due(ledger, clock.now()), queues=True),
        PeriodicTask("resume", _DUE_EVERY_S, lambda: backlog.release(clock.now()), queues=True),
        PeriodicTask("runs", STEP_EVERY_S, lambda: runs.step(clock.now())),
        PeriodicTask("recovery", _RECOVER_EVERY_S, recover),
        PeriodicTask(
            "resends",
            _RESENDS_EVERY_S,
            lambda: resends.scan(ledger.redis, clock.now(), accounts.has_outage),
        ),
        PeriodicTask("prune", _PRUNE_EVERY_S, lambda: prune.prune(ledger, clock.now())),
        PeriodicTask("serving", _ANNOUNCE_EVERY_S, serving.announce),
        PeriodicTask("unserved", _UNSERVED_EVERY_S, find_unserved),
        PeriodicTask("quota", _QUOTA_EVERY_S, lambda: use.hand_on(clock.now())),
        PeriodicTask("samples", _SAMPLES_EVERY_S, Samples(ledger.redis, redis_now).scan),
        PeriodicTask("ping", _PING_EVERY_S, lambda: ping.scan(clock.now())),
        *map(notify, notifiers),
    ]
