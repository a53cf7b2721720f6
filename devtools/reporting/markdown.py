"""Tables, counts and durations as Markdown. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

#: Stands where nothing was measured.
NONE = "\N{EN DASH}"

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, words: int = 1) -> str:
    """Write a table. Its first `words` columns hold words, the others numbers, aligned right."""
    rules = ["---" if column < words else "---:" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in [head, rules, *rows])


def counted(counts: Mapping[str, int]) -> str:
    """Write `12 200, 3 503`, or `none`. A Counter's largest count comes first."""
    pairs = counts.most_common() if isinstance(counts, Counter) else counts.items()
    return ", ".join(f"{number:,} {what}" for what, number in pairs) or "none"


def duration(seconds: float | None) -> str:
    """Write a time in the unit that is easiest to read: `2.5 h`; from two of a unit on."""
    if seconds is None:
        return NONE
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
