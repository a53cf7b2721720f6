"""Calls HEARTBEAT_URL each minute while all is well: when the calls stay away, somebody is told.

So silence speaks, too: that no worker is alive, that Redis is away, that this machine is gone.
Every worker runs it; one of them calls. Whoever answers there, or does not, holds up nothing else.
"""

from datetime import datetime, timedelta

import requests
from pydantic import SecretStr

from notify import troubles
from pushes import log
from pushes.read import accounts_at_work, overview
from pushes.store import keys
from pushes.store.ledger import Ledger
from pushes.store.server import durability

_log = log.get(__name__)

# Each to connect and to be answered; the task has a thread of its own.
_TIMEOUT_S = 5.0

# The worker that calls is the only one for so long: a little less than a minute, so that the next
# minute has its call whichever worker makes it.
_CLAIMED_FOR = timedelta(seconds=50)

_FIRST_ERROR_STATUS = 300


class Ping:
    """The calls of one worker process."""

    def __init__(self, ledger: Ledger, url: SecretStr | None) -> None:
        self._ledger = ledger
        self._url = url
        self._told: str | None = None

    def scan(self, now: datetime) -> None:
        """Call, if all is well and no other worker has. Raises RedisError."""
        redis = self._ledger.redis
        if self._url is None or not redis.set(keys.PING_LOCK, "1", nx=True, ex=_CLAIMED_FOR):
            return
        seen = overview.read(
            self._ledger, now, in_detail=False, troubled_at_most=accounts_at_work.ACCOUNTS_READ
        )
        if found := troubles.going_on(seen, durability.facts_of(redis.info())):
            self._withhold([trouble.name for trouble in found])
        elif error := self._call(self._url.get_secret_value()):
            redis.delete(keys.PING_LOCK)  # another worker may reach it
            self._tell_not_taken(error)
        else:
            self._told = None

    def _withhold(self, found: list[str]) -> None:
        if self._told != (said := " ".join(found)):
            _log.warning(
                "ping.withheld",
                troubles=found[:20],
                meaning="HEARTBEAT_URL is not called while something is wrong",
                action="`klarna-ack status` says what to do about it",
            )
        self._told = said

    def _call(self, url: str) -> str:
        """Call; say what went wrong, without the URL, which is a secret."""
        try:
            answer = requests.get(url, timeout=_TIMEOUT_S, allow_redirects=False)
        except (requests.RequestException, ValueError) as error:
            return type(error).__name__
        if answer.status_code >= _FIRST_ERROR_STATUS:
            return f"HTTP {answer.status_code}"
        return ""

    def _tell_not_taken(self, error: str) -> None:
        if self._told != error:
            _log.warning(
                "ping.not_taken",
                error=error,
                meaning="all is well here, but whoever waits for HEARTBEAT_URL thinks it is not",
                action="look at that service, and at the way from here to it",
            )
        self._told = error
