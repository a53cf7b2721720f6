"""Order ids as an operator gives them: in any case, in arguments or in a file, all or nothing.

Refused: a list with anything in it that is no order id; every such place is named.
"""

from collections.abc import Iterable

import click

from pushes.model import is_order_id

_SHAPE = "An order id has the shape 8-4-4-4-12 of 0-9 and a-f."


def from_arguments(texts: Iterable[str]) -> list[str]:
    """Return the ids lower-cased, each once. Raises UsageError naming each argument at fault."""
    return _check("argument", list(enumerate((text.strip() for text in texts), start=1)))


def from_lines(lines: Iterable[str]) -> list[str]:
    """Return the ids of a file lower-cased, each once, past blank lines and `#` comments.

    Raises UsageError naming each line at fault by its number.
    """
    texts = ((number, line.partition("#")[0].strip()) for number, line in enumerate(lines, start=1))
    return _check("line", [(number, text) for number, text in texts if text])


def _check(place: str, numbered: list[tuple[int, str]]) -> list[str]:
    ids = [(number, text, text.lower()) for number, text in numbered]
    wrong = [
        f"  {place} {number}: {text[:60]!r}" for number, text, id_ in ids if not is_order_id(id_)
    ]
    if wrong:
        first = "Nothing was done, since not everything given is an order id:"
        raise click.UsageError("\n".join([first, *wrong, _SHAPE]))
    return list(dict.fromkeys(id_ for _, _, id_ in ids))
