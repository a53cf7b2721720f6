"""What each worker does besides attempts, again and again, each task in a thread of its own."""

from collections.abc import Callable
from datetime import UTC, datetime

from redis.exceptions import RedisError

from pushes.store.ledger import Ledger
from pushes.store.rq_mirror import LEASE_S
from worker.attempt.account_health import AccountWatch
from worker.attempt.attempts import Attempts
from worker.periodic import due, prune, resends
from worker.periodic.heartbeat import Presence
from worker.periodic.loops import Loop
from worker.periodic.recovery import Recovery
from worker.periodic.resume import Backlog
from worker.redis_health import RedisHealth

# Leases are renewed three times before they lapse.
_RENEW_EVERY_S = LEASE_S / 3

# A retry is late by at most this.
_SCHEDULE_EVERY_S = 0.5

# With the lease this bounds how long a kill is felt: 15 s + 5 s.
_RECOVER_EVERY_S = 5

# A re-send is missed ten minutes after it was expected: half a minute more tells nobody too late.
_RESENDS_EVERY_S = 30

# What expired is taken out of the indexes this often; nobody waits for it.
_TIDY_EVERY_S = 60


class PeriodicTasks:
    """The tasks of one worker process, all safe to be done by several workers at a time."""

    def __init__(  # noqa: PLR0913 - the parts of a worker
        self,
        ledger: Ledger,
        *,
        presence: Presence,
        attempts: Attempts,
        accounts: AccountWatch,
        backlog: Backlog,
        redis: RedisHealth,
    ) -> None:
        self._ledger = ledger
        self._presence = presence
        self._attempts = attempts
        self._accounts = accounts
        self._backlog = backlog
        self._redis = redis
        self._recovery = Recovery(ledger)
        self.is_suspended = False

    def start(self) -> list[Loop]:
        """Begin all of them."""
        tasks: list[tuple[str, float, Callable[[], object]]] = [
            ("leases", _RENEW_EVERY_S, self._renew),
            ("schedule", _SCHEDULE_EVERY_S, self.queue_what_is_due),
            ("recovery", _RECOVER_EVERY_S, self._recover),
            ("resends", _RESENDS_EVERY_S, self._look_for_resends),
            ("tidy", _TIDY_EVERY_S, self._tidy),
        ]
        loops = [Loop(*task) for task in tasks]
        for loop in loops:
            loop.start()
        return loops

    def queue_what_is_due(self) -> int:
        """Queue what has waited long enough, for its time or with its account; return how many."""
        now = datetime.now(UTC)
        return due.queue_due(self._ledger, now) + self._backlog.release(now)

    def _renew(self) -> None:
        """Renew the leases and the entry among RQ's workers; learn whether RQ is suspended."""
        try:
            self._attempts.renew_leases()
            self._presence.beat(len(self._attempts.active()), self._attempts.done)
            self.is_suspended = self._presence.is_suspended()
        except RedisError as error:
            self._redis.note_away(error)
        else:
            self._redis.note_there()

    def _recover(self) -> None:
        """Put back what dead workers left."""
        self._recovery.look(
            datetime.now(UTC), self._attempts.alive(), leases_tell=self._redis.leases_tell
        )

    def _look_for_resends(self) -> None:
        resends.look(self._ledger, datetime.now(UTC), self._accounts.has_outage)

    def _tidy(self) -> None:
        self._ledger.forget_expired(datetime.now(UTC))
        self._backlog.report_unserved()
        prune.cut(self._ledger)
