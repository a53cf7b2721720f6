"""How everything is: what `klarna-ack status`, `/metrics` and the web's API all answer.

Every key is always there, null when unknown; times and amounts are those of `pushes.views`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypedDict

from redis import Redis

from pushes import policy
from pushes.accounts.holds import Standing
from pushes.model import PUSH_WINDOW, State
from pushes.read.alarms import Alarm
from pushes.read.at_risk import RiskGroup
from pushes.read.views import instant, optional
from pushes.store import codec, keys


def counts(redis: Redis, now: datetime) -> dict[State, int]:
    """Count the pushes in each state; settled ones of the retention time only."""
    horizon = codec.epoch(now - policy.RETENTION)
    pipeline = redis.pipeline(transaction=False)
    for state in State:
        pipeline.zcount(keys.index(state), horizon if state.is_settled else "-inf", "+inf")
    return dict(zip(State, pipeline.execute(), strict=True))


def oldest_deadline(redis: Redis) -> datetime | None:
    """Say when the first of the waiting pushes reaches its deadline."""
    pipeline = redis.pipeline(transaction=False)
    for state in (state for state in State if state.is_waiting):
        pipeline.zrange(keys.index(state), 0, 0, withscores=True)
    scores = [member[1] for members in pipeline.execute() for member in members]
    return codec.moment(str(min(scores))) if scores else None


class AccountView(TypedDict):
    """Whether an account is held, and why; `probe_at` is when it is tried next by itself.

    `paused_until` is when a pause ends that Klarna asked for. `unknown_in_a_row` counts the last
    orders that Klarna did not know, with none known in between.
    """

    held: str | None
    cause: str | None
    since: str | None
    by: str | None
    probe_at: str | None
    paused_until: str | None
    pause_cause: str | None
    unknown_in_a_row: int


class AtRiskView(TypedDict):
    """The orders with less than `under_h` hours left to the deadline; 0: past it.

    Those past it are in no other group. `amounts` are sums by currency of what Klarna showed.
    """

    under_h: int
    orders: int
    amounts: dict[str, int]
    amount_unknown: int
    amounts_partial: bool


class AlarmView(TypedDict):
    """What all workers together have found to be wrong, and what to do."""

    name: str
    since: str
    meaning: str
    action: str


class StatusView(TypedDict):
    """How everything is."""

    states: dict[str, int]
    oldest_waiting_s: float | None
    workers: int
    accounts: dict[str, AccountView]
    at_risk: list[AtRiskView]
    alarms: list[AlarmView]


def status(  # noqa: PLR0913 - each fact was read on its own
    by_state: Mapping[State, int],
    oldest: datetime | None,
    workers: int,
    accounts: Mapping[str, Standing],
    now: datetime,
    *,
    at_risk: Iterable[RiskGroup],
    alarms: Mapping[Alarm, datetime],
) -> StatusView:
    """Show how everything is; `accounts` names every account there is."""
    waiting_s = None
    if oldest is not None:
        first_push_at = oldest - PUSH_WINDOW
        waiting_s = max(0.0, round((now - first_push_at).total_seconds(), 3))
    return {
        "states": {str(state): by_state[state] for state in State},
        "oldest_waiting_s": waiting_s,
        "workers": workers,
        "accounts": {name: account(accounts[name]) for name in sorted(accounts)},
        "at_risk": [_at_risk(group) for group in at_risk],
        "alarms": [_alarm(alarm, since) for alarm, since in alarms.items()],
    }


def account(standing: Standing) -> AccountView:
    """Show whether an account is held or paused, and whether it looks like the wrong one."""
    hold, pause = standing.hold, standing.pause
    return {
        "held": str(hold.reason) if hold else None,
        "cause": hold.cause if hold else None,
        "since": instant(hold.since) if hold else None,
        "by": hold.by if hold else None,
        "probe_at": optional(hold.probe_at) if hold else None,
        "paused_until": instant(pause.until) if pause else None,
        "pause_cause": pause.cause if pause else None,
        "unknown_in_a_row": standing.unknown_in_a_row,
    }


def _at_risk(group: RiskGroup) -> AtRiskView:
    return {
        "under_h": group.under_h,
        "orders": group.orders,
        "amounts": dict(sorted(group.amounts.items())),
        "amount_unknown": group.amount_unknown,
        "amounts_partial": group.partial,
    }


def _alarm(alarm: Alarm, since: datetime) -> AlarmView:
    return {
        "name": str(alarm),
        "since": instant(since),
        "meaning": alarm.meaning,
        "action": alarm.action,
    }
