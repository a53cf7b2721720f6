"""Times in words: in the unit that is easiest to read. Pure."""

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


def spoken(seconds: float) -> str:
    """Write a time, for example 2.5 h; from two of a unit on."""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
