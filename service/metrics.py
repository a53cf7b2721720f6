"""What Prometheus reads: the state of the queue as Redis has it, the same from every web process.

Numbers are read when they are asked for, so nothing here is counted in the web process itself.
Workers need no port of their own: what they mend is counted in Redis.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pushes.accounts.holds import Holds
from pushes.model import PUSH_WINDOW
from pushes.read import alarms, at_risk, overview
from pushes.read.alarms import Alarm
from pushes.read.workers import live_workers
from pushes.store import counters, indexes, resend_counts
from pushes.store.ledger import Ledger
from service import deps

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Answer in Prometheus's text format. 503 when Redis does not answer."""
    registry = CollectorRegistry()
    registry.register(QueueState(deps.current().ledger))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class QueueState(Collector):
    """Reads the ledger once for each scrape; changes nothing."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def describe(self) -> list[Metric]:
        """Name nothing ahead: collecting would ask Redis."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        now = datetime.now(UTC)
        pushes = GaugeMetricFamily(
            "klarna_ack_pushes", "Pushes by state; settled ones of 30 days.", labels=["state"]
        )
        for state, count in overview.counts(self._ledger.redis, now).items():
            pushes.add_metric([str(state)], count)
        yield pushes

        deadline = overview.oldest_deadline(self._ledger.redis)
        yield GaugeMetricFamily(
            "klarna_ack_oldest_waiting_seconds",
            "Age of the first push of the order that has waited longest for its acknowledge.",
            value=(now - (deadline - PUSH_WINDOW)).total_seconds() if deadline else 0,
        )
        left = GaugeMetricFamily(
            "klarna_ack_at_risk",
            "Orders not acknowledged, by less than so many hours to the deadline; 0: past it.",
            labels=["under_hours"],
        )
        for under_h, count in at_risk.count(self._ledger.redis, now).items():
            left.add_metric([str(under_h)], count)
        yield left
        yield GaugeMetricFamily(
            "klarna_ack_workers",
            "Workers that beat.",
            value=live_workers(self._ledger.redis),
        )
        held = GaugeMetricFamily(
            "klarna_ack_account_held",
            "1 while an account is held, by reason; absent while it is not.",
            labels=["account", "reason"],
        )
        unknown = GaugeMetricFamily(
            "klarna_ack_account_unknown_in_a_row",
            "Orders that Klarna did not know when first asked, with none known in between; absent"
            " while there are none.",
            labels=["account"],
        )
        paused = GaugeMetricFamily(
            "klarna_ack_account_paused_until_timestamp_seconds",
            "When the pause ends that Klarna asked for; absent while an account has none.",
            labels=["account"],
        )
        standings = Holds(self._ledger.redis).standings(indexes.accounts(self._ledger.redis))
        for account, standing in standings.items():
            if standing.unknown_in_a_row:
                unknown.add_metric([account], standing.unknown_in_a_row)
            if standing.hold:
                held.add_metric([account, str(standing.hold.reason)], 1)
            if standing.pause:
                paused.add_metric([account], standing.pause.until.timestamp())
        yield held
        yield paused
        yield unknown
        events = CounterMetricFamily(
            "klarna_ack_events", "What workers had to mend, by kind.", labels=["event"]
        )
        for event, count in sorted(counters.totals(self._ledger.redis).items()):
            events.add_metric([event], count)
        yield events
        yield from self._resends()

    def _resends(self) -> Iterator[Metric]:
        """Tell whether Klarna's pushes reach us, as far as workers can tell."""
        counts = resend_counts.totals(self._ledger.redis)
        for word, count in (
            ("expected", counts.expected),
            ("seen", counts.seen),
            ("missed", counts.missed),
        ):
            yield CounterMetricFamily(
                f"klarna_ack_resends_{word}",
                f"Klarna's repeated pushes of orders not acknowledged: {word}.",
                value=count,
            )
        raised = alarms.raised(self._ledger.redis)
        shown = GaugeMetricFamily(
            "klarna_ack_alarm", "1 while workers find that it is so.", labels=["alarm"]
        )
        for alarm in Alarm:
            shown.add_metric([str(alarm)], alarm in raised)
        yield shown
