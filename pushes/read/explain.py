"""What became of a push, and what comes next, in words for an operator. Pure.

Klarna's own words stand in the timeline; here is what they mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pushes.model import Entry, HoldReason, Push, Reason, State
from pushes.read.views import instant


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a reason means, and what usually causes it, the likeliest first."""

    meaning: str
    usual_causes: tuple[str, ...]


REASONS: dict[Reason, Explanation] = {
    Reason.NO_SUCH_ORDER: Explanation(
        "Klarna was asked for this order several times and does not know it.",
        (
            "Somebody pushed a made-up id: a test, a scanner or a forger.",
            "The account's credentials belong to another region or environment than the shop's.",
            "The push of one merchant came to the account of another.",
        ),
    ),
    Reason.RETRIES_EXHAUSTED: Explanation(
        "Klarna, or the shop's own system, failed at every attempt, over more than seven hours.",
        (
            "A long outage at Klarna or at the shop, or of the network between.",
            "A fault at Klarna that only this order meets.",
        ),
    ),
    Reason.NOT_ALLOWED: Explanation(
        "Klarna knows this order and refuses to show or acknowledge it.",
        (
            "It belongs to another merchant or another store of the same merchant.",
            "Its state at Klarna does not allow it.",
        ),
    ),
    Reason.REJECTED: Explanation(
        "Klarna called the request itself wrong, so trying again would not help.",
        (
            "Klarna changed what it expects.",
            "A proxy on the way changes requests.",
            "A fault in this program.",
        ),
    ),
    Reason.ORDER_MISMATCH: Explanation(
        "Klarna answered with another order than was asked for. Nothing was acknowledged.",
        (
            "A cache or a proxy between here and Klarna answers in its place.",
            "The API address is not Klarna's.",
        ),
    ),
    Reason.CRASH_LOOP: Explanation(
        "The process that attempted this order died each time, even when it did nothing else.",
        (
            "The answer for this order is something that the program cannot bear.",
            "Too little memory for the worker.",
        ),
    ),
    Reason.UNREADABLE: Explanation(
        "What Redis holds for this order was not written by this program, or was damaged.",
        (
            "Somebody changed keys by hand.",
            "Another program uses the same Redis database.",
        ),
    ),
    Reason.INTERNAL_ERROR: Explanation(
        "This program failed, not Klarna.",
        ("A fault in this program.",),
    ),
}


_NEXT: dict[State, str] = {
    State.QUEUED: "The next free worker takes it.",
    State.RUNNING: "A worker asks Klarna at this moment.",
    State.RETRYING: "It is tried again by itself at the time below.",
    State.HELD: (
        "It waits until its account is served again, which is tried once a minute. Waiting spends"
        " no attempt."
    ),
    State.ACKNOWLEDGED: "Nothing: it is settled.",
    State.NOT_NEEDED: "Nothing: it is settled.",
    State.DEAD: "Nothing by itself: replay or discard it.",
}


def why_dead(push: Push) -> Explanation | None:
    """Explain why a push is dead; None for one that is not."""
    if push.state is not State.DEAD or not isinstance(push.reason, Reason):
        return None
    return REASONS[push.reason]


def what_next(push: Push) -> str:
    """Say what will happen to a push by itself; `push.next_attempt_at` says when."""
    if push.discarded:
        return "Nothing: an operator discarded it. To take that back, replay it."
    if push.state is State.HELD and push.reason is HoldReason.OPERATOR:
        return "It waits until its account is resumed. Waiting spends no attempt."
    return _NEXT[push.state]


def support_message(push: Push, timeline: Sequence[Entry], now: datetime) -> str:
    """Write to Klarna's support what it needs to find the calls: ids, times and answers."""
    calls = [entry for entry in timeline if entry.is_to_klarna]
    lines = [
        f"Order {push.key.order_id}" + (f" ({ref})" if (ref := _reference(push)) else ""),
        "",
        "After your push we fetch the order and acknowledge it. That has not come to its end.",
        f"First push from Klarna: {instant(push.first_push_at)}",
        f"Pushes received: {push.pushes}. Attempts made: {push.attempts}.",
        f"Not acknowledged at {instant(now)}.",
        "",
        "Our calls and your answers, times in UTC:" if calls else "We made no call for it yet.",
        *map(_call_line, calls[-10:]),
        "",
        "Could you tell us why, with the correlation ids above?",
    ]
    return "\n".join(lines)


def _reference(push: Push) -> str | None:
    return push.order.klarna_reference


def _call_line(entry: Entry) -> str:
    said = [instant(entry.at), entry.call or "", f"HTTP {entry.http_status or 'no answer'}"]
    if entry.error_code:
        said.append(entry.error_code)
    if entry.correlation_id:
        said.append(f"correlation id {entry.correlation_id}")
    return "- " + ", ".join(said)
