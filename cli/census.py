"""Counting everything there is, for `klarna-ack status`. Reads only.

RQ's own ways of counting clean up as they count, so none of them is used here.
"""

from datetime import datetime
from typing import cast

from cli.context import Context
from pushes import alarms, at_risk, keys, views
from pushes.census import live_workers
from pushes.ledger import Ledger
from pushes.model import PushKey, State

# Of so many held pushes the accounts are looked at, and of each account so many records.
_HELD_NAMES = 1000
_HELD_RECORDS = 3


def read(context: Context, now: datetime) -> views.StatusView:
    """Read the status."""
    ledger = context.ledger
    held = dict.fromkeys(context.known_accounts()) | _held(ledger)
    return views.status(
        ledger.counts(now),
        ledger.oldest_deadline(),
        live_workers(ledger),
        held,
        now,
        at_risk=at_risk.read(ledger, now),
        alarms=alarms.raised(ledger.redis),
    )


def _held(ledger: Ledger) -> dict[str, str | None]:
    """Say of each account with held pushes why they are held."""
    index = keys.index(State.HELD)
    raw = cast(list[bytes], ledger.redis.zrange(index, 0, _HELD_NAMES - 1))
    wanted: dict[str, list[PushKey]] = {}
    for member in raw:
        key = keys.parse_job_id(member.decode())
        wanted.setdefault(key.account, []).append(key)
    pushes = ledger.get_many(key for some in wanted.values() for key in some[:_HELD_RECORDS])
    return {
        push.key.account: str(push.reason)
        for push in pushes
        if push is not None and push.state is State.HELD and push.reason is not None
    }
