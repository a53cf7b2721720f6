"""Chance that plays the same again."""

from random import Random


def seeded(seed: str, what: str) -> Random:
    """Give the randomness of one part, the same for the same seed."""
    return Random(f"{seed} {what}")  # noqa: S311 - a course to be repeated, not a secret
