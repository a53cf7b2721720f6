"""Klarna's quota, shared by all workers of an account: when each call may be made.

Klarna allows one merchant 200 requests a second live and 50 in the playground (Klarna docs, "Rate
limiting"), and answers 429 beyond that. The schedule is in Redis and goes by Redis's clock, so the
workers' clocks need not agree. `worker/claims.py` reserves the slots of the GETs as it takes jobs,
some milliseconds ahead and no more; here, an acknowledge reserves the next one whatever waits. So
what is under way is finished before more is begun.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import cast

from redis import Redis
from redis.exceptions import RedisError

from pushes import keys

Now = Callable[[], datetime]

# Slots are this share of the quota, evenly spaced. The rest is for what comes late: a call whose
# thread was not woken in time, and the network.
_PACE = 0.94

# So much of a second's slots may be used at once after a pause.
_BURST = 0.01

# A call may be this late for its slot; later, it takes another one.
GRACE_S = 0.02

# Nobody waits longer than this with an attempt begun: a pause that Klarna asked for.
_LONGEST_WAIT_S = 2.0

# Klarna counts the calls of a second; a schedule of our own begins when the shared one's are over.
_QUOTA_WINDOW_S = 1.0

# The schedule is forgotten after this; a pause that Klarna asks for is at most an hour.
TTL_S = 7200


class QuotaSpentError(Exception):
    """The next slot is `wait_s` seconds away, too far to wait for with an attempt begun."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"the account's quota allows the next call in {wait_s:.1f} s")
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Share:
    """What a script needs to know of one account's quota."""

    name: str
    interval_s: float
    burst_s: float

    @classmethod
    def of(cls, account: str, rate_per_s: float) -> "Share":
        """Turn requests per second into slots."""
        return cls(account, 1 / (_PACE * rate_per_s), _BURST / _PACE)

    def facts(self) -> dict[str, object]:
        """Return it as JSON for a script."""
        return {"name": self.name, "interval_s": self.interval_s, "burst_s": self.burst_s}


class Quota:
    """The schedules of the accounts. Threads share it. `now` is Redis's time unless given."""

    def __init__(self, redis: Redis, shares: Mapping[str, Share], now: Now | None = None) -> None:
        self.shares = shares
        self._now = now
        self._lock = threading.Lock()
        self._alone_at: dict[str, float] = {}
        self._reserve = redis.register_script(script("quota.lua", "reserve.lua"))

    def reserve(self, account: str) -> float:
        """Reserve the next slot and return how many seconds away it is.

        While Redis is away, what is under way is finished all the same, on a schedule of this
        process's own: nobody begins anything meanwhile. Raises QuotaSpentError, having reserved
        nothing, when the slot is too far away.
        """
        try:
            wait_s = self._ask(account, longest_s=_LONGEST_WAIT_S)
        except RedisError:
            return self._reserve_alone(account)
        if wait_s < 0:
            raise QuotaSpentError(-wait_s)
        return wait_s

    def pause(self, account: str, pause_s: float) -> None:
        """Let nobody call for this account for so many seconds: Klarna asked for that (429).

        Raises RedisError.
        """
        self._ask(account, pause_s=pause_s)

    def _reserve_alone(self, account: str) -> float:
        with self._lock:
            now = time.monotonic()
            at = max(self._alone_at.get(account, 0.0), now + _QUOTA_WINDOW_S)
            self._alone_at[account] = at + self.shares[account].interval_s
        return at - now

    def _ask(self, account: str, **more: float) -> float:
        ask = {
            "account": self.shares[account].facts(),
            "now": self._now().timestamp() if self._now else None,
            "quota_ttl_s": TTL_S,
            **more,
        }
        return float(cast(bytes, self._reserve([keys.quota(account)], [json.dumps(ask)])))


def script(*names: str) -> str:
    """Read Lua files of this package as one script."""
    folder = resources.files("worker")
    return "\n".join(folder.joinpath(name).read_text() for name in names)
