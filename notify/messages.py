"""What a message says: words for people who are woken by it. Pure."""

from dataclasses import dataclass
from enum import StrEnum


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
