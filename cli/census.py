"""Counting everything there is, for `klarna-ack status`. Reads only.

RQ's own ways of counting clean up as they count, so none of them is used here.
"""

from datetime import datetime

from cli.context import Context
from pushes.accounts.holds import Holds
from pushes.read import alarms, at_risk, overview
from pushes.read.workers import live_workers


def read(context: Context, now: datetime) -> overview.StatusView:
    """Read the status."""
    ledger = context.ledger
    holds = Holds(ledger.redis)
    accounts = holds.standings(context.known_accounts())
    return overview.status(
        overview.counts(ledger.redis, now),
        overview.oldest_deadline(ledger.redis),
        live_workers(ledger.redis),
        accounts,
        now,
        at_risk=at_risk.read(ledger.redis, now),
        alarms=alarms.raised(ledger.redis),
    )
