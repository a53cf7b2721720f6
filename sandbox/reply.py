"""An answer and the manner in which it goes out. Pure: `delivery` does it."""

from dataclasses import dataclass
from enum import Enum, auto

from sandbox.answers import ApiAnswer


class Manner(Enum):
    """How an answer goes out."""

    WHOLE = auto()
    HOLD = auto()  # no answer; the connection is closed after `wait_s`
    RESET = auto()  # no answer; the connection is reset at once
    DRIP_BODY = auto()  # the body a byte every `wait_s`
    DRIP_HEAD = auto()  # the head a byte every `wait_s`


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and the manner in which it goes out.

    `padding` bytes of spaces follow the body (JSON allows them); `missing` bytes are announced but
    never sent: the connection is closed instead.
    """

    answer: ApiAnswer | None
    manner: Manner = Manner.WHOLE
    wait_s: float = 0
    padding: int = 0
    missing: int = 0

    @property
    def prompt(self) -> bool:
        """Whether it goes out in one piece, at once."""
        return self.manner is Manner.WHOLE and not self.padding
