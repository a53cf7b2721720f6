"""Chance that plays the same again for the same seed."""

from random import Random


def seeded(seed: str, what: str) -> Random:
    """Return the randomness of one part of a run, the same for the same seed."""
    return Random(f"{seed} {what}")  # noqa: S311 - a run to be repeated, not a secret


def random_order_id(random: Random) -> str:
    """Make up an order id of the shape that Klarna's have."""
    digits = f"{random.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
