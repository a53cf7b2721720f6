"""How the parts of a worker are put together, for the process and for the simulator alike."""

import random as system_random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import time
from functools import partial

from pydantic import SecretStr

from notify.notifier import Notifier
from notify.recipients import Recipient
from pushes.accounts.clock import Now
from pushes.accounts.holds import Holds
from pushes.accounts.pauses import Pauses
from pushes.accounts.serving import Serving, Share
from pushes.operate.runs.executor import RunExecutor
from pushes.policy import RetryPolicy
from pushes.store.ledger import Ledger
from worker.attempt.account_health import AccountHealth
from worker.attempt.acknowledge import Acknowledger, ServedAccount
from worker.attempt.settle import Settler
from worker.attempt.start import Starter
from worker.attempt.under_way import UnderWay, remember
from worker.claiming.claims import Claims
from worker.claiming.places import Places
from worker.claiming.quota import Quota, QuotaUse
from worker.clock import SYSTEM_CLOCK, Clock
from worker.periodic import tasks
from worker.periodic.ping import Ping
from worker.periodic.resume import HeldBacklog
from worker.periodic.tasks import PeriodicTask
from worker.redis_health import RedisHealth


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one worker process, in the order in which a push meets them."""

    claims: Claims
    starter: Starter
    acknowledger: Acknowledger
    settler: Settler
    under_way: UnderWay
    redis_health: RedisHealth
    tasks: list[PeriodicTask]
    serving: Serving
    quota: Quota
    places: Places
    accounts: dict[str, ServedAccount]

    def serve(self, accounts: Mapping[str, ServedAccount], shares: Mapping[str, Share]) -> None:
        """Serve these accounts from now on.

        Attempts under way go on as they began; one that was just claimed may be of an account that
        is not among them any more, so those stay known here.
        """
        self.accounts.update(accounts)
        self.quota.update(shares)
        self.places.limit(_limited(accounts))
        self.serving.replace(shares.values())


def assemble(  # noqa: PLR0913 - everything a worker is made of
    ledger: Ledger,
    *,
    name: str,
    accounts: Mapping[str, ServedAccount],
    shares: Mapping[str, Share],
    retry_policy: RetryPolicy,
    outage_after_failures: int,
    concurrency: int,
    clock: Clock = SYSTEM_CLOCK,
    random: Callable[[], float] = system_random.random,
    redis_now: Now | None = None,
    heartbeat_url: SecretStr | None = None,
    recipients: Iterable[Recipient] = (),
    digest_at: time | None = None,
) -> Parts:
    """Make the parts of the worker `name` over a ledger; connects to nothing.

    `redis_now` stands in for Redis's own time where that is virtual.
    """
    redis = ledger.redis
    use = QuotaUse(redis)
    quota = Quota(redis, shares, redis_now, use)
    serving = Serving(redis, shares.values(), redis_now)
    under_way = UnderWay(ledger, clock)
    places = Places(concurrency, under_way.accounts)
    places.limit(_limited(accounts))
    claims = Claims(redis, ledger.rq, serving, clock, now=redis_now, use=use, places=places)
    health = AccountHealth(Holds(redis, redis_now), Pauses(redis, redis_now), outage_after_failures)
    served = dict(accounts)
    redis_health = RedisHealth(name, clock)
    return Parts(
        claims=claims,
        starter=Starter(ledger, claims, under_way, name, clock),
        acknowledger=Acknowledger(
            served, retry_policy, random, quota, clock, remember=partial(remember, ledger)
        ),
        settler=Settler(ledger, health, under_way, redis_health, clock),
        under_way=under_way,
        redis_health=redis_health,
        tasks=tasks.table(
            ledger=ledger,
            under_way=under_way,
            accounts=health,
            backlog=HeldBacklog(ledger, serving),
            serving=serving,
            use=use,
            redis_now=redis_now,
            redis_health=redis_health,
            clock=clock,
            runs=RunExecutor(ledger, name),
            ping=Ping(ledger, heartbeat_url),
            notifiers=[Notifier(ledger, each, digest_at=digest_at) for each in recipients],
        ),
        serving=serving,
        quota=quota,
        places=places,
        accounts=served,
    )


def _limited(accounts: Mapping[str, ServedAccount]) -> list[str]:
    """Name the accounts that may not take all places; one that is alone takes them from nobody."""
    if len(accounts) == 1:
        return []
    return [name for name, account in accounts.items() if account.shop]
