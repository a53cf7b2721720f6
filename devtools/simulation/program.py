"""The seam: how the program's parts are put together for the simulator, and no others know.

Whoever changes the worker's parts changes this module. What they offer to the rest:

    Intake.push     a push as the web process takes it, from a source; False when it is refused
    Parts.take      jobs that are to be attempted now, or how long there are none
    Parts.run       one attempt; blocks in virtual time
    Parts.settle    commit how attempts ended
    Parts.tasks    what each worker does besides, and how often
    ALARMS          the log events that would wake an operator
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from redis import Redis

from devtools.simulation.clock import VirtualClock
from devtools.simulation.klarna import QUOTA_PER_S
from pushes.accounts.holds import Holds
from pushes.life import Origin
from pushes.model import Push, PushKey, State
from pushes.policy import OUTAGE_AFTER_FAILURES, RetryPolicy
from pushes.store.ledger import Ledger
from service.push.admission import Admission, TooManyUnverifiedError
from worker.attempt.account_health import AccountWatch
from worker.attempt.acknowledge import Acknowledger, OrderClient
from worker.attempt.attempt import Attempt, Ending
from worker.attempt.attempts import Attempts
from worker.claiming.claims import Claims
from worker.claiming.quota import Quota, Share
from worker.periodic import due, prune, resends
from worker.periodic.recovery import Recovery
from worker.periodic.resume import Backlog

ACCOUNT = "default"

# What would wake an operator: one is raised when an account is held, and none by a single push.
ALARMS = frozenset({"account.held"})

# What says that the program failed itself; none is expected.
FAULTS = frozenset({"attempt.failed_here", "attempt.not_settled", "attempt.hung", "push.abandoned"})

# Both as in `worker.settings` and `worker.runner`.
CONCURRENCY = 32
BATCH = 32

# Nothing becomes due without a bell: looking again is only for what nobody foresaw.
IDLE_S = 60.0


@dataclass(frozen=True, slots=True)
class Taken:
    """Attempts to make now; `wait_s` is how long there will be no more unless somebody rings."""

    attempts: list[Attempt]
    wait_s: float


@dataclass(frozen=True, slots=True)
class Chore:
    """What a worker does every so often; true when it may have put something in the queue."""

    name: str
    every_s: float
    act: Callable[[], object]


class SimulatedIntake:
    """The web process, without HTTP."""

    def __init__(self, ledger: Ledger, clock: VirtualClock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._admission = Admission(ledger.redis, clock.monotonic)

    def push(self, order_id: str, source: str) -> bool:
        """Take in one push that came from `source`; False is a 503."""
        now = self._clock.now()
        try:
            lane = self._admission.lane_of(source, ACCOUNT, now)
        except TooManyUnverifiedError:
            return False
        origin = Origin(source=source, lane=lane)
        self._ledger.accept(PushKey(ACCOUNT, order_id), now, origin)
        return True


class Parts:
    """The parts of one worker process. Only `run` takes virtual time."""

    def __init__(
        self, name: str, redis: Redis, clock: VirtualClock, client: OrderClient, random: Random
    ) -> None:
        self._ledger = Ledger(redis)
        self._clock = clock
        quota = Quota(redis, {ACCOUNT: Share.of(ACCOUNT, QUOTA_PER_S)}, clock.now)
        acknowledger = Acknowledger({ACCOUNT: client}, RetryPolicy(), random.random, quota)
        self._claims = Claims(self._ledger, quota, clock, clock.now)
        self._attempts = Attempts(self._ledger, acknowledger, name, clock)
        self._accounts = AccountWatch(Holds(redis), quota, OUTAGE_AFTER_FAILURES)
        self._backlog = Backlog(self._ledger, quota)
        self._recovery = Recovery(self._ledger)

    @property
    def done(self) -> int:
        """How many attempts it has made."""
        return self._attempts.done

    def take(self, at_most: int) -> Taken:
        """Take jobs out of the queue and begin their attempts."""
        taken = self._claims.take(at_most)
        more = len(taken.claims) == at_most
        return Taken(self._attempts.begin(taken.claims), 0.0 if more else taken.wait_s or IDLE_S)

    def run(self, attempt: Attempt) -> Ending:
        """Make one attempt."""
        return self._attempts.run(attempt)

    def settle(self, endings: list[Ending]) -> None:
        """Commit how attempts ended."""
        self._attempts.settle(self._accounts.judge(endings))

    def tasks(self) -> list[Chore]:
        """List the loops of `worker.runner`."""
        now = self._clock.now
        return [
            Chore("leases", 5, self._attempts.renew_leases),
            Chore("schedule", 0.5, lambda: due.queue_due(self._ledger, now())),
            Chore("backlog", 0.5, lambda: self._backlog.release(now())),
            Chore("recovery", 5, lambda: self._recovery.look(now(), self._attempts.alive())),
            Chore("resends", 30, self._look_for_resends),
            Chore("tidy", 60, self._tidy),
        ]

    def _look_for_resends(self) -> None:
        resends.look(self._ledger, self._clock.now(), self._accounts.has_outage)

    def _tidy(self) -> None:
        self._ledger.forget_expired(self._clock.now())
        prune.cut(self._ledger)


def spent(push: Push) -> int:
    """Count the attempts that this push was charged with."""
    return push.failures + push.not_found


def is_waiting(push: Push) -> bool:
    """Whether the order still has to be acknowledged by the program."""
    return push.state.is_waiting


def is_dead(push: Push) -> bool:
    """Whether an operator has to decide, and knows why."""
    return push.state is State.DEAD and push.reason is not None
