"""How everything is: what `klarna-ack status`, `/metrics` and the web's API all answer.

Read once, by one function. What cannot be read is left out and named. Every key of the JSON is
always there, null when unknown; times and amounts are those of `pushes.read.views`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from redis import Redis
from typing_extensions import TypedDict

from pushes.accounts import holds, serving
from pushes.accounts.holds import AccountHold, Standing
from pushes.accounts.pauses import Pauses
from pushes.model import PUSH_WINDOW, Reason, State
from pushes.read import alarms, at_risk, by_account, workers
from pushes.read.alarms import Alarm
from pushes.read.at_risk import RiskGroup
from pushes.read.by_account import AccountCounts
from pushes.read.unreadable import Unreadable
from pushes.read.views import instant, optional
from pushes.read.workers import LiveWorkers
from pushes.resends import ResendCounts
from pushes.store import codec, counters, indexes, keys, records
from pushes.store.counted import refusals, resend_counts
from pushes.store.counted.refusals import Refusal
from pushes.store.ledger import Ledger

# Enough that one which somebody pushes again and again hides no other.
_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class Overview:
    """How everything was at one moment. `unreadable` are sentences, one a fact."""

    at: datetime
    states: Mapping[State, int]
    oldest_deadline: datetime | None
    workers: LiveWorkers
    standings: Mapping[str, Standing]
    by_account: AccountCounts
    dead_by_reason: Mapping[Reason, int]
    at_risk: Sequence[RiskGroup]
    alarms: Mapping[Alarm, datetime]
    resends: ResendCounts
    events: Mapping[str, int]
    refused: Mapping[Refusal, int]
    unreadable: Sequence[str]

    @property
    def oldest_waiting_s(self) -> float | None:
        """How long ago the order that waits longest was first pushed; None when none waits."""
        since = first_pushed(self.oldest_deadline)
        return None if since is None else max(0.0, (self.at - since).total_seconds())


def read(
    ledger: Ledger,
    now: datetime,
    configured: Iterable[str] = (),
    *,
    in_detail: bool = True,
    troubled_at_most: int | None = None,
) -> Overview:
    """Read how everything is; `configured` are accounts to tell of besides those in the ledger.

    In detail, amounts and counts by account are read, too: some round trips more. With
    `troubled_at_most` the standings are of accounts with trouble, at most so many. Reads only, and
    in no transaction, which a full Redis would refuse. Raises RedisError.
    """
    redis, unreadable = ledger.redis, Unreadable()
    by_state = counts(ledger, now, unreadable)
    accounts = sorted({*configured, *_known_accounts(redis, unreadable)})
    if troubled_at_most is not None:
        accounts = _troubled(redis, accounts, unreadable)[:troubled_at_most]
    counted = AccountCounts()
    if in_detail and len(accounts) == 1 and troubled_at_most is None:
        counted = AccountCounts({accounts[0]: by_state})
    elif in_detail:
        counted = by_account.read(redis, accounts, by_state, unreadable)
    return Overview(
        at=now,
        states=by_state,
        oldest_deadline=oldest_deadline(redis, unreadable),
        workers=workers.read(redis, unreadable),
        standings=_standings(redis, accounts, unreadable),
        by_account=counted,
        dead_by_reason=dead_by_reason(redis, unreadable),
        at_risk=unreadable.ask(
            keys.UNACKNOWLEDGED, lambda: at_risk.read(redis, now, with_amounts=in_detail), []
        ),
        alarms=unreadable.ask("an alarm", lambda: alarms.raised(redis), {}),
        resends=unreadable.ask(
            keys.RESEND_TOTALS, lambda: resend_counts.totals(redis), ResendCounts()
        ),
        events=unreadable.ask(name=keys.COUNTERS, ask=lambda: counters.totals(redis), otherwise={}),
        refused=unreadable.ask(keys.REFUSED, lambda: refusals.totals(redis), {}),
        unreadable=unreadable.sentences,
    )


def read_account(ledger: Ledger, now: datetime, name: str) -> "AccountStatusView":
    """Read how one account is. Raises RedisError."""
    redis, unreadable = ledger.redis, Unreadable()
    counted = by_account.read(redis, [name], counts(ledger, now, unreadable), unreadable)
    return _account_status(_standings(redis, [name], unreadable)[name], counted, name)


def counts(ledger: Ledger, now: datetime, unreadable: Unreadable | None = None) -> dict[State, int]:
    """Count the pushes in each state; settled ones of the retention time only."""
    unreadable = unreadable or Unreadable()
    horizon = codec.epoch(now - ledger.retention)
    pipeline = ledger.redis.pipeline(transaction=False)
    for state in State:
        pipeline.zcount(keys.index(state), horizon if state.is_settled else "-inf", "+inf")
    answers = pipeline.execute(raise_on_error=False)
    return {
        state: unreadable.read(keys.index(state), answer, int, 0)
        for state, answer in zip(State, answers, strict=True)
    }


def dead_by_reason(redis: Redis, unreadable: Unreadable) -> dict[Reason, int]:
    """Count the dead letters of each reason."""
    pipeline = redis.pipeline(transaction=False)
    for reason in Reason:
        pipeline.zcard(keys.dead_of(reason))
    answers = pipeline.execute(raise_on_error=False)
    return {
        reason: unreadable.read(keys.dead_of(reason), answer, int, 0)
        for reason, answer in zip(Reason, answers, strict=True)
    }


def oldest_deadline(redis: Redis, unreadable: Unreadable | None = None) -> datetime | None:
    """Say when the first of the waiting pushes reaches its deadline."""
    unreadable = unreadable or Unreadable()
    waiting = [state for state in State if state.is_waiting]
    pipeline = redis.pipeline(transaction=False)
    for state in waiting:
        pipeline.zrange(keys.index(state), 0, 0, withscores=True)
    found = [
        unreadable.read(f"the first of {keys.index(state)}", answer, _deadlines, [])
        for state, answer in zip(waiting, pipeline.execute(raise_on_error=False), strict=True)
    ]
    return min((deadline for deadlines in found for deadline in deadlines), default=None)


def oldest_queued_s(redis: Redis, now: datetime, unreadable: Unreadable) -> float:
    """Say how long the most urgent orders in the queue have been in it: the longest of a few.

    Workers take the earliest deadline first, so these are next. Other than the age of a push, it is
    short for an order that was retried for hours and is due at this moment. 0 without any.
    """
    place = keys.index(State.QUEUED)
    members = unreadable.ask(
        place, lambda: cast(list[bytes], redis.zrange(place, 0, _LOOKED_AT - 1)), []
    )
    wanted = [key for member in members if (key := keys.find_key(member))]
    queued = [
        push
        for push in records.get_many(redis, wanted)
        if push and push.state is State.QUEUED and not push.unreadable
    ]
    since = min((push.changed_at for push in queued), default=now)
    return max(0.0, (now - since).total_seconds())


def first_pushed(deadline: datetime | None) -> datetime | None:
    """Say when the order with a deadline was first pushed."""
    return None if deadline is None else deadline - PUSH_WINDOW


def _deadlines(members: list[tuple[bytes, float]]) -> list[datetime]:
    return [codec.moment(str(score)) for _, score in members]


def _known_accounts(redis: Redis, unreadable: Unreadable) -> list[str]:
    """Name the accounts of the ledger, and note what stands among them and is no name."""
    members = unreadable.ask(
        keys.ACCOUNTS, lambda: cast(set[bytes], redis.smembers(keys.ACCOUNTS)), set()
    )
    names = {member: indexes.account_of(member) for member in sorted(members)}
    unreadable.sentences += [
        f"{keys.ACCOUNTS} holds {member[:40]!r}, which names no account"
        for member, name in names.items()
        if name is None
    ]
    return [name for name in names.values() if name is not None]


def _troubled(redis: Redis, accounts: Sequence[str], unreadable: Unreadable) -> list[str]:
    """Name the accounts that are held, paused or not served, then those with unknown orders."""
    pipeline = redis.pipeline(transaction=False)
    pipeline.smembers(keys.HOLDS)
    pipeline.zrange(keys.PAUSES, 0, -1)
    pipeline.zrange(keys.UNSERVED, 0, -1)
    answers = cast(list[Iterable[bytes]], pipeline.execute(raise_on_error=False))
    places = (keys.HOLDS, keys.PAUSES, keys.UNSERVED)
    members = {
        member.decode(errors="replace")
        for place, answer in zip(places, answers, strict=True)
        for member in unreadable.read(place, answer, list, [])
    }
    known = set(accounts)
    counted = redis.mget([keys.unknown_in_a_row(account) for account in accounts] or [keys.HOLDS])
    unknown = [account for account, count in zip(accounts, counted, strict=False) if count]
    return list(dict.fromkeys([*sorted(members & known), *unknown]))


def _standings(
    redis: Redis, accounts: Sequence[str], unreadable: Unreadable
) -> dict[str, Standing]:
    """Read how accounts are, in a few round trips however many they are."""
    counted = [keys.unknown_in_a_row(account) for account in accounts]
    in_a_row = cast(list[bytes | None], redis.mget(counted) if counted else [])
    held = _held(redis, accounts, unreadable)
    paused = unreadable.ask(keys.PAUSES, Pauses(redis).active, {})
    unserved = unreadable.ask(keys.UNSERVED, lambda: serving.unserved_since(redis), {})
    return {
        account: Standing(
            held.get(account),
            unreadable.read(name, count, holds.decode_count, 0),
            paused.get(account),
            unserved.get(account),
        )
        for account, name, count in zip(accounts, counted, in_a_row, strict=True)
    }


def _held(
    redis: Redis, accounts: Iterable[str], unreadable: Unreadable
) -> dict[str, AccountHold | None]:
    members = unreadable.ask(
        keys.HOLDS, lambda: cast(set[bytes], redis.smembers(keys.HOLDS)), set()
    )
    names = sorted({member.decode(errors="replace") for member in members}.intersection(accounts))
    pipeline = redis.pipeline(transaction=False)
    for name in names:
        pipeline.hgetall(keys.hold(name))
    answers = zip(names, pipeline.execute(raise_on_error=False), strict=True)
    return {
        name: unreadable.read(keys.hold(name), answer, holds.decode, None)
        for name, answer in answers
    }


class AccountView(TypedDict):
    """Whether an account is held, and why; `probe_at` is when it is tried next by itself.

    `paused_until` is when a pause ends that Klarna asked for. `unknown_in_a_row` counts the last
    orders that Klarna did not know, with none known in between. `unserved_since`: orders of it
    wait, and no worker has its credentials.
    """

    held: str | None
    cause: str | None
    since: str | None
    by: str | None
    probe_at: str | None
    paused_until: str | None
    pause_cause: str | None
    unknown_in_a_row: int
    unserved_since: str | None


class AccountStatusView(AccountView):
    """The same with the counts of what is not settled; `states_partial`: at least so many."""

    states: dict[str, int]
    states_partial: bool


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


class RefusedView(TypedDict):
    """How many pushes were refused for one reason; `account` is null when none was named."""

    account: str | None
    reason: str
    pushes: int


class StatusView(TypedDict):
    """How everything is. `workers` are ours; `other_workers` take our jobs and cannot do them.

    `skewed_workers` are those of ours that take no job, since their clocks are wrong.
    """

    read_at: str
    states: dict[str, int]
    dead_by_reason: dict[str, int]
    oldest_waiting_s: float | None
    workers: int
    other_workers: int
    skewed_workers: int
    suspended: bool
    accounts: dict[str, AccountStatusView]
    at_risk: list[AtRiskView]
    alarms: list[AlarmView]
    refused: list[RefusedView]
    unreadable: list[str]


def status(seen: Overview) -> StatusView:
    """Show how everything is."""
    waiting_s = seen.oldest_waiting_s
    return {
        "read_at": instant(seen.at),
        "states": {str(state): seen.states[state] for state in State},
        "dead_by_reason": {str(reason): n for reason, n in seen.dead_by_reason.items()},
        "oldest_waiting_s": None if waiting_s is None else round(waiting_s, 3),
        "workers": seen.workers.ours,
        "other_workers": seen.workers.others,
        "skewed_workers": seen.workers.skewed,
        "suspended": seen.workers.suspended,
        "accounts": {
            name: _account_status(standing, seen.by_account, name)
            for name, standing in seen.standings.items()
        },
        "at_risk": [_at_risk(group) for group in seen.at_risk],
        "alarms": [_alarm(alarm, since) for alarm, since in seen.alarms.items()],
        "refused": [
            {"account": account, "reason": str(reason), "pushes": count}
            for (account, reason), count in seen.refused.items()
        ],
        "unreadable": list(seen.unreadable),
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
        "unserved_since": optional(standing.unserved_since),
    }


def _account_status(standing: Standing, counted: AccountCounts, name: str) -> AccountStatusView:
    return {
        **account(standing),
        "states": {str(state): count for state, count in counted.of(name).items()},
        "states_partial": counted.partial,
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
