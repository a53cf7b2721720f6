"""Reads everything once for each scrape, and changes nothing."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from pushes.model import Reason
from pushes.read import accounts_at_work, dead_letters, overview
from pushes.read.unreadable import Unreadable
from pushes.store import keys
from pushes.store.counted import totals
from pushes.store.counted.totals import Totals
from pushes.store.ledger import Ledger
from pushes.store.server import durability
from service.metrics import accounts, orders, processes, work
from service.metrics.families import gauge, gauges


class Everything(Collector):
    """All metrics of one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def describe(self) -> list[Metric]:
        """Name nothing ahead: collecting would ask Redis."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric. Raises RedisError."""
        redis, unreadable = self._ledger.redis, Unreadable()
        now = datetime.now(UTC)
        seen = overview.read(
            self._ledger, now, in_detail=False, troubled_at_most=accounts_at_work.ACCOUNTS_READ
        )
        held = unreadable.ask(keys.HOLDS, lambda: redis.scard(keys.HOLDS), 0)
        at_work = accounts_at_work.read(redis, unreadable)
        quota = totals.quota(redis, at_work.accounts)
        counted = unreadable.ask("the totals", lambda: totals.read(redis), Totals())
        dead: Mapping[Reason, int] = unreadable.ask(
            "the dead letters", lambda: dead_letters.by_reason(redis), {}
        )
        queued_s = overview.oldest_queued_s(redis, now, unreadable)
        yield from orders.families(seen, counted, dead, queued_s)
        yield from work.families(counted)
        yield from accounts.families(seen, at_work, quota, counted)
        yield gauge("klarna_ack_accounts_held", "Accounts that are held.", held)
        yield from processes.families(seen, durability.facts_of(redis.info()))
        yield gauge(
            "klarna_ack_unreadable",
            "Facts in Redis that cannot be read, and are missing here.",
            len({*seen.unreadable, *unreadable.sentences}),
        )
        yield gauges(
            "klarna_ack_build_info",
            "1; the version of this web process.",
            "version",
            {version("klarna-ack"): 1},
        )
