"""Keeps what nobody needs from growing: what expired, and the dead letters of made-up orders.

Nothing is cut silently: it is counted and logged.
"""

from datetime import datetime, timedelta
from typing import cast

from redis import Redis
from rq.worker_registration import clean_worker_registry

from pushes import log, policy
from pushes.accounts.sources import known_sources
from pushes.model import Push, Reason, State
from pushes.read.views import instant
from pushes.store import codec, counters, indexes, keys, records
from pushes.store.connection import read_script
from pushes.store.ledger import Ledger

_log = log.get(__name__)

_FORGET_CAUSE = read_script("worker.periodic", "forget_cause.lua")

# A run is kept for 30 days from its end on; none goes on for longer than that.
_RUNS_LISTED = timedelta(days=60)

# One round trip cuts so many, so that Redis answers others in between.
_BATCH = 200


def prune(ledger: Ledger, now: datetime) -> None:
    """Do all of it. Raises RedisError; then the rest is done the next time."""
    forget_expired(ledger, now)
    forget_causes(ledger.redis)
    cut_unknown(ledger)


def forget_expired(ledger: Ledger, now: datetime) -> None:
    """Take out of the indexes, ours and RQ's, what expired by itself."""
    horizon = codec.epoch(now - ledger.retention)
    pipeline = ledger.redis.pipeline(transaction=False)
    for state in (state for state in State if state.is_settled):
        pipeline.zremrangebyscore(keys.index(state), "-inf", f"({horizon}")
    pipeline.zremrangebyscore(keys.RUNS, "-inf", codec.epoch(now - _RUNS_LISTED))
    pipeline.execute()
    ledger.rq.queue.finished_job_registry.cleanup()
    clean_worker_registry(ledger.rq.queue)


def forget_causes(redis: Redis) -> None:
    """Forget the causes that no dead letter has any more."""
    causes = cast(list[bytes], redis.zrange(keys.CAUSES, 0, -1))
    pipeline = redis.pipeline(transaction=False)
    for cause in causes:
        pipeline.exists(cause)
    gone = [cause for cause, exists in zip(causes, pipeline.execute(), strict=True) if not exists]
    for cause in gone:
        pipeline.eval(_FORGET_CAUSE, 2, keys.CAUSES, cause)
    pipeline.execute()


def cut_unknown(ledger: Ledger, keep: int = policy.MAX_UNKNOWN_DEAD) -> int:
    """Forget the oldest orders that Klarna does not know, beyond `keep` of each account.

    A flood of made-up ids must not fill Redis. Spared is what a trusted source has pushed. One
    that is pushed again is taken in anew. Return how many were cut.
    """
    if ledger.redis.zcard(keys.dead_of(Reason.NO_SUCH_ORDER)) <= keep:
        return 0
    accounts = indexes.accounts(ledger.redis)
    pipeline = ledger.redis.pipeline(transaction=False)
    for account in accounts:
        pipeline.zcard(keys.dead_letters(account, Reason.NO_SUCH_ORDER))
    found = zip(accounts, cast(list[int], pipeline.execute()), strict=True)
    return sum(_cut_account(ledger, account, keep) for account, count in found if count > keep)


def _cut_account(ledger: Ledger, account: str, keep: int) -> int:
    count, oldest, spared = 0, "", 0
    known = known_sources(ledger.redis, account)
    while found := _oldest(ledger, account, keep, spared):
        gone = ledger.remove_many([push for push in found if not known.trusts(push.source)])
        spared += len(found) - len(gone)
        if gone:
            count, oldest = count + len(gone), oldest or instant(gone[0].first_push_at)
            order_ids = [push.key.order_id for push in gone]
            _log.info("dead_letters.cut_orders", account=account, order_ids=order_ids)
    if count:
        counters.add(ledger.redis, "unknown_cut", count)
        _log.error(
            "dead_letters.cut",
            account=account,
            count=count,
            oldest_first_push_at=oldest,
            kept=keep,
            meaning="these dead letters are orders that Klarna did not know, more than are kept, "
            "pushed by unverified sources; one that is pushed again is taken in anew",
            action="somebody floods the push URL: set PUSH_TOKEN, or block the sender at the proxy",
        )
    return count


def _oldest(ledger: Ledger, account: str, keep: int, spared: int) -> list[Push]:
    """Read some of the oldest that are too many, past those that were spared."""
    place = keys.dead_letters(account, Reason.NO_SUCH_ORDER)
    excess = min(ledger.redis.zcard(place) - keep - spared, _BATCH)
    if excess <= 0:
        return []
    oldest = cast(list[bytes], ledger.redis.zrange(place, spared, spared + excess - 1))
    wanted = [key for name in oldest if (key := keys.find_key(name))]
    found = records.get_many(ledger.redis, wanted)
    return [push for push in found if push and push.reason is Reason.NO_SUCH_ORDER]
