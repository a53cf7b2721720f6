"""The thread that takes jobs: as many as can be attempted now, then it waits for more."""

import threading

from pushes.store.ledger import Ledger
from worker.attempt.attempt import Attempt
from worker.attempt.attempts import Attempts
from worker.claiming.claims import Claim, Claims, reread

# How long one wait for work blocks: also how soon a stop is noticed by an idle worker.
BLOCK_S = 1.0

# How often the queue is looked at while what waits there cannot be attempted yet.
_LOOK_AGAIN_S = 0.1


class Taking:
    """Takes jobs and begins their attempts; what it has in hand it keeps while Redis is away."""

    def __init__(
        self, ledger: Ledger, claims: Claims, attempts: Attempts, stopping: threading.Event
    ) -> None:
        self._ledger = ledger
        self._claims = claims
        self._attempts = attempts
        self._stopping = stopping
        self._popped: bytes | None = None
        self._in_hand: list[Claim] = []
        self.is_idle = False

    def begin(self, free: int, *, block: bool) -> list[Attempt]:
        """Begin attempts, at most `free`; with `block`, wait a moment when there is nothing.

        `is_idle` says afterwards whether nothing waits that this worker could attempt. Raises
        RedisError; then the next call goes on with what was taken.
        """
        known = reread(self._ledger, self._in_hand) if self._in_hand else []
        self._in_hand = known or self._take(free, block=block)
        begun = self._attempts.begin(self._in_hand)
        self._in_hand = []
        return begun

    def _take(self, free: int, *, block: bool) -> list[Claim]:
        taken = self._claims.take(free, self._popped)
        self._popped = None
        self.is_idle = not taken.claims and (taken.queue_is_empty or taken.wait_s is None)
        if taken.claims or not block:
            return taken.claims
        if not taken.queue_is_empty:  # what waits needs a slot, or another worker
            self._stopping.wait(min(taken.wait_s or _LOOK_AGAIN_S, _LOOK_AGAIN_S))
            return []
        self._popped = self._claims.wait(min(taken.wait_s or BLOCK_S, BLOCK_S))
        return self._take(free, block=block) if self._popped else []
