"""What the simulator needs of the program: a worker's real parts, and the words it judges by.

A worker is put together by `worker.wiring`, as in life; only its threads are not those of
`worker.runner`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from redis import Redis

from devtools.simulation.clock import VirtualClock
from devtools.simulation.klarna.model import QUOTA_PER_S
from pushes.accounts.serving import Share
from pushes.model import Push, PushKey, State
from pushes.origin import Origin
from pushes.policy import OUTAGE_AFTER_FAILURES, RetryPolicy
from pushes.store.ledger import Ledger
from service.push.admission import Admission, TooManyWaitingError
from worker.attempt.acknowledge import ServedAccount
from worker.attempt.attempt import Attempt, Ending
from worker.wiring import assemble

ACCOUNT = "default"

# Beside it in the scenario of the merchant: it has nothing to do with the shop.
OTHER = "other"

# What would wake an operator: one is raised when an account is held, and none by a single push.
ALARMS = frozenset({"account.held"})

# What says that the program failed itself; none is expected.
FAULTS = frozenset({"attempt.failed_here", "attempt.not_settled", "attempt.hung", "push.abandoned"})

# Both as in `worker.settings` and `worker.runner`.
CONCURRENCY = 128
BATCH = 32

# Nothing becomes due without a wake-up: looking again is only for what nobody foresaw.
IDLE_S = 60.0


@dataclass(frozen=True, slots=True)
class SimulatedTake:
    """Attempts to make now; `wait_s` is how long there will be no more unless somebody wakes it."""

    attempts: list[Attempt]
    wait_s: float


class SimulatedIntake:
    """The web process, without HTTP."""

    def __init__(self, ledger: Ledger, clock: VirtualClock, account: str = ACCOUNT) -> None:
        self._ledger = ledger
        self._account = account
        self._clock = clock
        self._admission = Admission(ledger.redis, clock.monotonic)

    def push(self, order_id: str, source: str) -> bool:
        """Take in one push that came from `source`; False is a 503."""
        now = self._clock.now()
        try:
            lane = self._admission.lane_of(source, self._account)
        except TooManyWaitingError:
            return False
        origin = Origin(source=source, lane=lane)
        self._ledger.accept(PushKey(self._account, order_id), now, origin)
        return True


class SimulatedProcess:
    """One worker process: the real parts on virtual time. Only `run` and `settle` take time."""

    def __init__(
        self,
        name: str,
        redis: Redis,
        clock: VirtualClock,
        accounts: Mapping[str, ServedAccount],
        random: Random,
    ) -> None:
        self._parts = assemble(
            Ledger(redis),
            name=name,
            accounts=accounts,
            shares={account: Share.of(account, QUOTA_PER_S) for account in accounts},
            retry_policy=RetryPolicy(),
            outage_after_failures=OUTAGE_AFTER_FAILURES,
            concurrency=CONCURRENCY,
            clock=clock,
            random=random.random,
            redis_now=clock.now,
        )
        self._parts.redis_health.note_there()
        self.tasks = self._parts.tasks

    @property
    def done(self) -> int:
        """How many attempts it has made."""
        return self._parts.under_way.done

    def take(self, at_most: int) -> SimulatedTake:
        """Claim jobs and begin their attempts."""
        claimed = self._parts.claims.claim(at_most)
        more = len(claimed.claims) == at_most
        wait_s = 0.0 if more else claimed.wait_s or IDLE_S
        return SimulatedTake(self._parts.starter.start(claimed.claims), wait_s)

    def run(self, attempt: Attempt) -> Ending:
        """Make one attempt."""
        return self._parts.acknowledger.run(attempt)

    def settle(self, endings: list[Ending]) -> None:
        """Commit how attempts ended."""
        self._parts.settler.settle(endings)


def spent(push: Push) -> int:
    """Count the attempts that this push was charged with."""
    return push.failures + push.not_found


def is_waiting(push: Push) -> bool:
    """Whether the order still has to be acknowledged by the program."""
    return push.state.is_waiting


def is_dead(push: Push) -> bool:
    """Whether an operator has to decide, and knows why."""
    return push.state is State.DEAD and push.reason is not None
