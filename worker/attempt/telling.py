"""What the log says of a push that took a step: one event, its facts, what to do about a death."""

from pushes import log
from pushes.model import Push, Reason, State

_log = log.get(__name__)


def tell(push: Push, took_ms: int | None = None) -> None:
    """Log where an attempt, or the end of all attempts, has left a push."""
    facts: dict[str, object] = {
        "order_id": push.key.order_id,
        "account": push.key.account,
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
    elif push.state is State.HELD:  # the account's own event is the alarm, once for all of them
        _log.info("push.held", **facts)
    else:
        _log.warning("push.retrying", **facts, next_attempt_at=str(push.next_attempt_at))


def tell_superseded(push: Push) -> None:
    """Log that an attempt ended after its push was given to another worker."""
    _log.warning(
        "attempt.superseded",
        order_id=push.key.order_id,
        account=push.key.account,
        meaning="another worker took this push over; its outcome counts, not this one",
    )
