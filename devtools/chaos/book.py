"""What the sender has written down: of its records only this counts in the end."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Book:
    """What the sender saw. Times are epoch seconds."""

    first_sent: dict[str, float] = field(default_factory=dict)
    accepted: dict[str, float] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    slowest_answer_s: float = 0
    wrong: list[str] = field(default_factory=list)  # neither 200, nor 503, nor silence
