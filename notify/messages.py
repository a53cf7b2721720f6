"""What a message says: words for people who are woken by it. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from notify.memory import Told, ToTell
from notify.troubles import Trouble, TroubleKind
from pushes.read.search.moments import describe_span


class MessageKind(StrEnum):
    """How a service shows a message; the words are apprise's."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Message:
    """One message."""

    title: str
    body: str
    kind: MessageKind = MessageKind.INFO


TEST = Message(
    "klarna-ack: a test",
    "This is a test message. What klarna-ack has to tell will arrive here.",
)

# So many troubles are told one by one, and so many that are over.
_MOST = 15

# Services cut what is longer, or break it up.
_LONGEST = 300
_LONGEST_TITLE = 90

# These stay until somebody acts, and can wait for the morning.
_LEFT_OVER = frozenset({TroubleKind.DEAD_LETTERS, TroubleKind.DEADLINE_PASSED})

_STATUS = "`klarna-ack status` has it all; docs/runbook.md says more under each name."


def compose(plan: ToTell, now: datetime) -> Message:
    """Word what is there, and what is over, as one message."""
    parts = [_there(trouble) for trouble in plan.there[:_MOST]]
    if (more := len(plan.there) - _MOST) > 0:
        parts.append(f"And {more:,} more.")
    parts += [_over(told, now) for told in plan.over[:_MOST]]
    if (more := len(plan.over) - _MOST) > 0:
        parts.append(f"And {more:,} more are over.")
    if plan.there:
        parts.append(_STATUS)
    return Message(_title(plan), "\n\n".join(parts), _kind(plan))


def _there(trouble: Trouble) -> str:
    return f"{_cut(trouble.what)}\n{_cut(trouble.action)}\nRunbook: {trouble.kind.heading}"


def _over(told: Told, now: datetime) -> str:
    return f"Over after {describe_span((now - told.noticed_at).total_seconds())}: {_cut(told.what)}"


def _title(plan: ToTell) -> str:
    match plan.there, plan.over:
        case [], [over]:
            return _cut(f"klarna-ack: over: {over.what}", _LONGEST_TITLE)
        case [], over:
            return f"klarna-ack: {len(over):,} things are over"
        case [trouble], _:
            return _cut(f"klarna-ack: {trouble.what}", _LONGEST_TITLE)
        case there, _:
            return f"klarna-ack: {len(there):,} things are wrong"


def _kind(plan: ToTell) -> MessageKind:
    if not plan.there:
        return MessageKind.SUCCESS
    can_wait = all(trouble.kind in _LEFT_OVER for trouble in plan.there)
    return MessageKind.WARNING if can_wait else MessageKind.FAILURE


def _cut(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
