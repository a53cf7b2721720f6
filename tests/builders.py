"""Records in any state, as tests need them: real steps of `pushes.life`, a fixed time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import cast

from redis import Redis

from pushes import life
from pushes.accounts.clock import Now
from pushes.accounts.serving import Share
from pushes.fraud import FraudLook
from pushes.model import Change, HoldReason, Push, PushKey, Reason, State
from pushes.policy import OUTAGE_AFTER_FAILURES, RetryPolicy
from pushes.store.ledger import Ledger
from pushes.store.server import rights
from pushes.store.server.rights import Role
from worker.attempt.acknowledge import Acknowledger
from worker.attempt.attempt import Report
from worker.attempt.outcomes import Acknowledged, Looked, NotNeeded, Outcome
from worker.claiming.claims import Claim
from worker.clock import SYSTEM_CLOCK, Clock
from worker.wiring import Parts, assemble

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_ORDERS = count(1)


def an_order_id() -> str:
    """A new order id with every call; its version nibble is none of RFC 4122's."""
    return f"{next(_ORDERS):08x}-1111-6222-a333-444455556666"


def a_key(account: str = "default") -> PushKey:
    return PushKey(account, an_order_id())


def a_push(state: State = State.QUEUED, key: PushKey | None = None, **facts: object) -> Push:
    """A record that went through the steps which lead to `state`; `facts` replace some of it."""
    push = history(state, key or a_key())[-1].after
    return replace(push, **facts)  # type: ignore[arg-type]  # the caller names fields of Push


def history(state: State, key: PushKey, now: datetime = NOW) -> list[Change]:
    """The changes from the first push to `state`."""
    pushed = life.first_pushed(key, now)
    if state is State.QUEUED:
        return [pushed]
    started = life.started(pushed.after, "worker-1", "a" * 32, now)
    assert started
    running = started.after
    endings = {
        State.RUNNING: None,
        State.RETRYING: life.retrying(
            running, now + timedelta(seconds=5), now, error="HTTP 500", failed=True
        ),
        State.HELD: life.held(running, HoldReason.CREDENTIALS, now, "HTTP 401"),
        State.ACKNOWLEDGED: life.acknowledged(running, now),
        State.NOT_NEEDED: life.not_needed(running, now),
        State.DEAD: life.dead(running, Reason.NO_SUCH_ORDER, now, "HTTP 404"),
    }
    ending = endings[state]
    return [pushed, started] if ending is None else [pushed, started, ending]


def put(ledger: Ledger, state: State, key: PushKey | None = None, now: datetime = NOW) -> Push:
    """Commit the steps that lead to `state`, popping the job as a worker would."""
    changes = history(state, key or a_key(), now)
    for change in changes:
        assert ledger.commit_many([change]) == [True]
        if change.after.state is State.QUEUED and len(changes) > 1:
            pop(ledger)
    return changes[-1].after


class ManualClock:
    """A time that the test moves; whoever sleeps moves it, too."""

    def __init__(self, at: datetime = NOW) -> None:
        self._start = self.time = at

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - self._start).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class Unlimited:
    """A quota that lets every call pass at once."""

    def reserve(self, _account: str) -> float:
        return 0.0


def claim(ledger: Ledger, key: PushKey) -> Claim:
    """What a worker knows of a job that it claimed."""
    return worker_parts(ledger.redis).claims.reread([Claim(key, None, None)])[0]


# So often a notification that says otherwise is looked at.
_LOOKS = 2


class ScriptedAcknowledger(Acknowledger):
    """Makes attempts that end as the test says."""

    def __init__(self, outcome: Outcome | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__({}, RetryPolicy(), lambda: 0.5, Unlimited(), clock)
        self.next: Outcome = outcome or Acknowledged()

    def attempt(self, push: Push, report: Report) -> Outcome:
        assert push.state is State.RUNNING
        assert report.entries == []
        if not isinstance(self.next, Acknowledged | NotNeeded):
            return self.next
        if push.fraud_event:  # Klarna accepts the risk of every order
            delay = timedelta(seconds=30) if push.failures < _LOOKS else None
            report.fraud = FraudLook(push.fraud_event, "ACCEPTED", delay)
        return Looked() if push.only_notified else self.next


def worker_parts(  # noqa: PLR0913 - whatever a test wants to be different
    redis: Redis,
    name: str = "worker-1",
    *,
    accounts: tuple[str, ...] = ("default",),
    rate_per_s: float = 1_000_000,
    outage_after_failures: int = OUTAGE_AFTER_FAILURES,
    redis_now: Now | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Parts:
    """The parts of a worker that has no credentials: it makes no call."""
    return assemble(
        Ledger(redis),
        name=name,
        accounts={},
        shares={account: Share.of(account, rate_per_s) for account in accounts},
        retry_policy=RetryPolicy(),
        outage_after_failures=outage_after_failures,
        concurrency=1,
        redis_now=redis_now,
        clock=clock,
    )


def pop(ledger: Ledger) -> str | None:
    """Take the next job as a worker does, into RQ's intermediate list."""
    queue = ledger.rq.queue
    popped = ledger.redis.lmove(queue.key, queue.intermediate_queue_key)
    return popped.decode() if isinstance(popped, bytes) else None


@dataclass(frozen=True)
class ReplicaState:
    """All that a Redis held at one moment: what a replica knows that lags behind from then on."""

    keys: dict[bytes, bytes]

    @classmethod
    def of(cls, redis: Redis) -> "ReplicaState":
        names = cast(list[bytes], redis.keys("*"))
        return cls({name: cast(bytes, redis.dump(name)) for name in names})

    def take_over(self, redis: Redis) -> None:
        """Let a failover happen: what was written since is lost. Times to live are, too."""
        redis.flushdb()
        for name, content in self.keys.items():
            redis.restore(name, 0, content)


class RedisUser:
    """A user of Redis with the rights of one role, which can be taken away one by one."""

    def __init__(self, admin: Redis, redis_url: str, role: Role) -> None:
        self._admin = admin
        self._role = role
        self.rule("reset", "on", ">secret", *rights.acl_rules(role).split())
        self.url = f"redis://{role}:secret@{redis_url.rpartition('@')[2]}"
        self.redis = Redis.from_url(self.url)

    def rule(self, *rules: str) -> None:
        """Add rules to its ACL."""
        self._admin.execute_command("ACL", "SETUSER", self._role, *rules)  # type: ignore[no-untyped-call]

    @contextmanager
    def denied(self, command: str) -> Iterator[None]:
        """Forbid a command for a while."""
        self.rule(f"-{command}")
        try:
            yield
        finally:
            self.rule(f"+{command}")

    def close(self) -> None:
        self.redis.close()
        self._admin.acl_deluser(self._role)
