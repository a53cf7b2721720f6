"""Order ids as an operator types them: in any case, all or nothing.

Refused: anything that is no order id; then nothing is done, and each such argument is named.
"""

from collections.abc import Iterable

import click

from pushes.model import is_order_id

_SHAPE = "An order id has the shape 8-4-4-4-12 of 0-9 and a-f."

# The first ones show what is wrong with all.
_FAULTS_SHOWN = 10


def from_arguments(texts: Iterable[str]) -> list[str]:
    """Return the ids lower-cased, each once. Raises UsageError naming the arguments at fault."""
    ids = [text.strip().lower() for text in texts]
    wrong = [
        f"  argument {number}: {id_[:60]!r}"
        for number, id_ in enumerate(ids, start=1)
        if not is_order_id(id_)
    ]
    if wrong:
        first = "Nothing was done, since not everything given is an order id:"
        more = [f"  … and {len(wrong) - _FAULTS_SHOWN:,} more"][: len(wrong) > _FAULTS_SHOWN]
        raise click.UsageError("\n".join([first, *wrong[:_FAULTS_SHOWN], *more, _SHAPE]))
    return list(dict.fromkeys(ids))
