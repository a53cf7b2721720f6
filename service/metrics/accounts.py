"""The metrics by account: of all while they are few, else of some with work or trouble."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pushes.accounts.holds import Standing
from pushes.model import HoldReason
from pushes.read.accounts_at_work import AccountsAtWork
from pushes.read.overview import Overview
from pushes.store.counted.totals import Total, Totals
from service.metrics.families import counters, gauge

# How many slots of its quota an account used, and the seconds waited for them.
QuotaUsed = tuple[int, float]


def families(
    seen: Overview, at_work: AccountsAtWork, quota: Mapping[str, QuotaUsed], counted: Totals
) -> Iterator[Metric]:
    """Yield the metrics of accounts."""
    yield from _at_work(seen, at_work)
    yield from _troubled(seen.standings)
    yield from _quota(quota)
    yield counters(
        "klarna_ack_holds",
        "Times that an account was held, by reason.",
        "reason",
        {**dict.fromkeys(HoldReason, 0), **counted.counts.get(Total.HOLDS, {})},
    )
    yield counters(
        "klarna_ack_pauses",
        "Answers 429, by whether one `order` alone got them or the `account`.",
        "limited",
        {"order": 0, "account": 0, **counted.counts.get(Total.PAUSES, {})},
    )


def _at_work(seen: Overview, at_work: AccountsAtWork) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "klarna_ack_account_waiting",
        "Orders of an account that wait, by state.",
        labels=["account", "state"],
    )
    oldest = GaugeMetricFamily(
        "klarna_ack_account_oldest_waiting_seconds",
        "Age of the first push of the account's order that has waited longest; absent without one.",
        labels=["account"],
    )
    for name, account in at_work.accounts.items():
        for state, count in account.states.items():
            waiting.add_metric([name, str(state)], count)
        if account.oldest_at:
            oldest.add_metric([name], max(0.0, (seen.at - account.oldest_at).total_seconds()))
    yield waiting
    yield oldest
    yield gauge(
        "klarna_ack_accounts_left_out",
        "Accounts with work that are in no metric by account: others wait longer.",
        at_work.left_out,
    )


def _troubled(standings: Mapping[str, Standing]) -> Iterator[Metric]:
    """Tell which accounts are held, paused, not served, or look like the wrong one."""
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
    unserved = GaugeMetricFamily(
        "klarna_ack_account_unserved_since_timestamp_seconds",
        "Since when orders wait of an account that no worker serves; absent while none do.",
        labels=["account"],
    )
    for account, standing in standings.items():
        if standing.hold:
            held.add_metric([account, str(standing.hold.reason)], 1)
        if standing.pause:
            paused.add_metric([account], standing.pause.until.timestamp())
        if standing.unknown_in_a_row:
            unknown.add_metric([account], standing.unknown_in_a_row)
        if standing.unserved_since:
            unserved.add_metric([account], standing.unserved_since.timestamp())
    yield from (held, paused, unknown, unserved)


def _quota(quota: Mapping[str, QuotaUsed]) -> Iterator[Metric]:
    slots = CounterMetricFamily(
        "klarna_ack_quota_slots",
        "Calls for an account, each in a slot of its quota.",
        labels=["account"],
    )
    waited = CounterMetricFamily(
        "klarna_ack_quota_waited_seconds",
        "How long calls for an account waited for their slots.",
        labels=["account"],
    )
    for account, (count, waited_s) in quota.items():
        slots.add_metric([account], count)
        waited.add_metric([account], waited_s)
    yield slots
    yield waited
