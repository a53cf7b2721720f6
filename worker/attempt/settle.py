"""Settling attempts: what ended together is judged, committed and logged together.

Refused: writing the outcome of an attempt whose push was given to another worker meanwhile.
"""

from redis.exceptions import RedisError, ResponseError

from pushes import log
from pushes.log import trace
from pushes.model import Change, Push, Reason, State
from pushes.origin import Origin
from pushes.read.views import optional
from pushes.store import keys, records
from pushes.store.connection import is_of_one_key
from pushes.store.ledger import CommitResult, Ledger, log_not_committed
from worker.attempt.account_health import AccountHealth
from worker.attempt.attempt import Ending
from worker.attempt.outcomes import AccountSignal
from worker.attempt.under_way import UnderWay
from worker.clock import Clock
from worker.redis_health import RedisHealth

_log = log.get(__name__)

# How long to wait for a Redis that is away, each time.
_AGAIN_AFTER_S = 1.0


class Settler:
    """Settles the attempts of one worker process."""

    def __init__(
        self,
        ledger: Ledger,
        accounts: AccountHealth,
        under_way: UnderWay,
        redis_health: RedisHealth,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._accounts = accounts
        self._under_way = under_way
        self._redis_health = redis_health
        self._clock = clock

    def settle(self, endings: list[Ending]) -> None:
        """Judge the accounts, then commit how the attempts ended. Raises nothing.

        While Redis is away it waits for it and loses nothing.
        """
        judged: list[Ending] = []
        while True:
            try:
                judged = judged or self._accounts.judge(endings)
                self._commit(judged)
            except RedisError as error:
                if not judged and is_of_one_key(error):
                    _log_not_judged(endings, error)
                    judged = endings
                    continue
                self._redis_health.note_away(error)
                self._clock.sleep(_AGAIN_AFTER_S)
                continue
            except Exception as error:  # noqa: BLE001 - a thread that dies would settle nothing more
                _log_not_settled(endings, error)
            break
        self._under_way.remove([ending.attempt for ending in endings])

    def _commit(self, endings: list[Ending]) -> None:
        """Commit in one round trip for all; calling it again with the same endings is safe."""
        well = {one.account for one in endings if one.outcome.signal is AccountSignal.WELL}
        served = {one.account for one in endings if one.merchant_answered}
        known = {one.account for one in endings if one.report.order}
        results = self._ledger.commit_each(
            [ending.change for ending in endings],
            forget=[
                *map(keys.failing, well),
                *map(keys.limited, well),
                *map(keys.unknown_in_a_row, known),
                *map(keys.merchant_failing, served),
            ],
        )
        for ending, result in zip(endings, results, strict=True):
            if result is CommitResult.STALE:
                self._settle_again(ending)
            elif result is CommitResult.MADE:
                log_step(ending.change.after, _took_ms(ending))

    def _settle_again(self, ending: Ending) -> None:
        """Settle of the present record: it was counted meanwhile, or given to another worker."""
        push = ending.attempt.push
        try:
            settled = self._ledger.advance(push.key, ending.step) or self._restored(ending)
            self._ledger.end_execution(push)
        except ResponseError as error:
            if not is_of_one_key(error):
                raise
            log_not_committed(push.key, error)
            return
        if settled is None:
            _log_superseded(push)
        else:
            log_step(settled.after, _took_ms(ending))

    def _restored(self, ending: Ending) -> Change | None:
        """Settle a push whose record is gone, lost by a failover: Klarna will not push it again."""
        push = ending.attempt.push
        if not ending.change.after.state.is_settled or records.get(self._ledger.redis, push.key):
            return None
        origin = Origin("restored", source=push.source, lane=push.lane, trace=push.trace)
        self._ledger.accept(push.key, push.first_push_at, origin)
        return self._ledger.advance(push.key, ending.step)


def _log_not_settled(endings: list[Ending], error: Exception) -> None:
    _log.error(
        "attempt.not_settled",
        order_ids=[ending.attempt.push.key.order_id for ending in endings],
        meaning="these pushes are tried again when their leases lapse; dead the third time",
        action="report this with the traceback",
        exc_info=error,
    )


def _log_not_judged(endings: list[Ending], error: Exception) -> None:
    _log.error(
        "account.not_judged",
        accounts=sorted({ending.account for ending in endings}),
        error=str(error)[:200],
        meaning="the orders are settled, but these outcomes hold, pause or resume no account",
        action="rename the key of a wrong type, see the runbook; find out who writes to this Redis",
    )


def _took_ms(ending: Ending) -> int:
    return round(ending.attempt.age_s * 1000)


def log_step(push: Push, took_ms: int | None = None) -> None:
    """Log where an attempt, or the end of all attempts, has left a push."""
    facts: dict[str, object] = {
        "order_id": push.key.order_id,
        "account": push.key.account,
        "trace_id": trace.trace_id(push),
        "attempt": push.attempts,
        "waited_s": round((push.changed_at - push.first_push_at).total_seconds(), 3),
        "took_ms": took_ms,
    }
    if push.state.is_settled:
        _log.info(f"push.{push.state}", **facts)
        return
    facts |= {"reason": push.reason and str(push.reason), "error": push.last_error}
    facts["overdue"] = push.is_overdue(push.changed_at)
    if push.state is State.DEAD:
        step = push.reason.next_step if isinstance(push.reason, Reason) else ""
        _log.error("push.dead", **facts, action=step)
    elif push.state is State.QUEUED:
        _log.info("push.queued_again", **facts)
    elif push.state is State.HELD:  # the account's own event is the alarm, once for all of them
        _log.info("push.held", **facts)
    else:
        _log.warning("push.retrying", **facts, next_attempt_at=optional(push.next_attempt_at))


def _log_superseded(push: Push) -> None:
    _log.warning(
        "attempt.superseded",
        order_id=push.key.order_id,
        account=push.key.account,
        trace_id=trace.trace_id(push),
        meaning="another worker took this push over; its outcome counts, not this one",
    )
