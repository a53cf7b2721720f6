"""What Prometheus reads: the state of the queue as Redis has it, the same from every web process.

Numbers are read when they are asked for, so nothing here is counted in the web process itself.
Workers need no port of their own: what they mend is counted in Redis.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pushes.accounts.holds import Standing
from pushes.read import overview
from pushes.read.alarms import Alarm
from pushes.read.overview import Overview
from pushes.resends import ResendCounts
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
        seen = overview.read(self._ledger, datetime.now(UTC), in_detail=False)
        yield from _pushes(seen)
        yield from _workers(seen)
        yield from _accounts(seen.standings)
        yield from _resends(seen.resends)
        refused = CounterMetricFamily(
            "klarna_ack_pushes_refused",
            "Pushes that were refused; the account is empty when none was named.",
            labels=["account", "reason"],
        )
        for (account, reason), count in seen.refused.items():
            refused.add_metric([account or "", str(reason)], count)
        yield refused
        raised = GaugeMetricFamily(
            "klarna_ack_alarm", "1 while workers find that it is so.", labels=["alarm"]
        )
        for alarm in Alarm:
            raised.add_metric([str(alarm)], alarm in seen.alarms)
        yield raised
        yield GaugeMetricFamily(
            "klarna_ack_unreadable",
            "Facts in Redis that cannot be read, and are missing here.",
            value=len(seen.unreadable),
        )


def _pushes(seen: Overview) -> Iterator[Metric]:
    """Tell how many there are, how long they wait, and which run out of time."""
    pushes = GaugeMetricFamily(
        "klarna_ack_pushes", "Pushes by state; settled ones of RETENTION_DAYS.", labels=["state"]
    )
    for state, count in seen.states.items():
        pushes.add_metric([str(state)], count)
    yield pushes
    yield GaugeMetricFamily(
        "klarna_ack_oldest_waiting_seconds",
        "Age of the first push of the order that has waited longest for its acknowledge.",
        value=seen.oldest_waiting_s or 0,
    )
    left = GaugeMetricFamily(
        "klarna_ack_at_risk",
        "Orders not acknowledged, by less than so many hours to the deadline; 0: past it.",
        labels=["under_hours"],
    )
    for group in seen.at_risk:
        left.add_metric([str(group.under_h)], group.orders)
    yield left


def _workers(seen: Overview) -> Iterator[Metric]:
    """Tell who takes jobs, whether they are told not to, and what they had to mend."""
    yield GaugeMetricFamily(
        "klarna_ack_workers", "Workers that beat and acknowledge orders.", value=seen.workers.ours
    )
    yield GaugeMetricFamily(
        "klarna_ack_other_workers",
        "Workers that beat on our queue and are none of ours: they cannot do the jobs they take.",
        value=seen.workers.others,
    )
    yield GaugeMetricFamily(
        "klarna_ack_skewed_workers",
        "Workers that take no jobs, since their clocks are too far from Redis's.",
        value=seen.workers.skewed,
    )
    yield GaugeMetricFamily(
        "klarna_ack_suspended",
        "1 while `rq suspend` keeps the workers from taking jobs.",
        value=seen.workers.suspended,
    )
    events = CounterMetricFamily(
        "klarna_ack_events", "What workers had to mend, by kind.", labels=["event"]
    )
    for event, count in sorted(seen.events.items()):
        events.add_metric([event], count)
    yield events


def _accounts(standings: Mapping[str, Standing]) -> Iterator[Metric]:
    """Tell which accounts are held or paused, and which look like the wrong one."""
    held = GaugeMetricFamily(
        "klarna_ack_account_held",
        "1 while an account is held, by reason; absent while it is not.",
        labels=["account", "reason"],
    )
    paused = GaugeMetricFamily(
        "klarna_ack_account_paused_until_timestamp_seconds",
        "When the pause ends that Klarna asked for; absent while an account has none.",
        labels=["account"],
    )
    unknown = GaugeMetricFamily(
        "klarna_ack_account_unknown_in_a_row",
        "Orders that Klarna did not know when first asked, with none known in between; absent"
        " while there are none.",
        labels=["account"],
    )
    for account, standing in standings.items():
        if standing.hold:
            held.add_metric([account, str(standing.hold.reason)], 1)
        if standing.pause:
            paused.add_metric([account], standing.pause.until.timestamp())
        if standing.unknown_in_a_row:
            unknown.add_metric([account], standing.unknown_in_a_row)
    yield held
    yield paused
    yield unknown


def _resends(counts: ResendCounts) -> Iterator[Metric]:
    """Tell whether Klarna's pushes reach us, as far as workers can tell."""
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
