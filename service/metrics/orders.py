"""The metrics of orders: how many there are, how long they wait, and how they were pushed."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, Metric

from pushes.model import Lane, Reason
from pushes.read.overview import Overview
from pushes.resends import ResendCounts
from pushes.store.counted.totals import ACKNOWLEDGED_AFTER, AcceptedAs, Total, Totals
from service.metrics.families import counters, gauge, gauges, histogram


def families(
    seen: Overview, counted: Totals, dead: Mapping[Reason, int], queued_s: float
) -> Iterator[Metric]:
    """Yield the metrics of orders and pushes."""
    yield from _states(seen, dead)
    yield gauge(
        "klarna_ack_oldest_queued_seconds",
        "How long the most urgent orders in the queue have waited for a worker; 0 without any.",
        queued_s,
    )
    yield from _received(seen, counted)
    yield from _resends(seen.resends)
    yield histogram(
        "klarna_ack_push_to_acknowledged_seconds",
        "From the first push of an order to its first acknowledgement.",
        (),
        ACKNOWLEDGED_AFTER,
        {(): counted.acknowledged_after},
    )
    yield counters(
        "klarna_ack_dead_letters",
        "Orders that became dead letters, by reason.",
        "reason",
        {**dict.fromkeys(Reason, 0), **counted.counts.get(Total.DEAD, {})},
    )
    yield counters(
        "klarna_ack_operator_changes",
        "Orders changed at an operator's word, by event of the timeline.",
        "event",
        {"replayed": 0, "discarded": 0, **counted.counts.get(Total.OPERATED, {})},
    )


def _states(seen: Overview, dead: Mapping[Reason, int]) -> Iterator[Metric]:
    yield gauges(
        "klarna_ack_pushes",
        "Pushes by state; settled ones of RETENTION_DAYS.",
        "state",
        seen.states,
    )
    yield gauge(
        "klarna_ack_oldest_waiting_seconds",
        "Age of the first push of the order that has waited longest for its acknowledge.",
        seen.oldest_waiting_s or 0,
    )
    yield gauges(
        "klarna_ack_at_risk",
        "Orders not acknowledged, by less than so many hours to the deadline; 0: past it.",
        "under_hours",
        {str(group.under_h): group.orders for group in seen.at_risk},
    )
    yield gauges(
        "klarna_ack_dead",
        "Dead letters that wait for an operator, by reason.",
        "reason",
        dead,
    )


def _received(seen: Overview, counted: Totals) -> Iterator[Metric]:
    yield counters(
        "klarna_ack_pushes_accepted",
        "Pushes that were stored and answered 200, by what they found.",
        "found",
        {**dict.fromkeys(AcceptedAs, 0), **counted.counts.get(Total.ACCEPTED, {})},
    )
    yield counters(
        "klarna_ack_orders_admitted",
        "Orders that a push queued, by lane; `unknown`: of an unverified source.",
        "lane",
        {**dict.fromkeys(Lane, 0), **counted.counts.get(Total.ADMITTED, {})},
    )
    refused = CounterMetricFamily(
        "klarna_ack_pushes_refused",
        "Pushes that were refused; the account is empty when none was named.",
        labels=["account", "reason"],
    )
    for (account, reason), count in seen.refused.items():
        refused.add_metric([account or "", str(reason)], count)
    yield refused


def _resends(counts: ResendCounts) -> Iterator[Metric]:
    """Tell whether Klarna's pushes reach us, as far as workers can tell."""
    text = "Klarna's repeated pushes of orders not acknowledged: "
    for name, word, count in (
        ("klarna_ack_resends_expected", "expected", counts.expected),
        ("klarna_ack_resends_seen", "seen", counts.seen),
        ("klarna_ack_resends_missed", "missed", counts.missed),
    ):
        yield CounterMetricFamily(name, f"{text}{word}.", value=count)
