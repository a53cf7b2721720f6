"""Cursors: where a page of a sorted set ended, as text that the next page is asked for with.

A place is a score and a member. Pages asked for one after the other miss nothing that stays where
it is, and show nothing twice.
"""

from pushes.store import codec, keys

Place = tuple[float, str]

# So much of a wrong cursor is shown.
_SHOWN = 60


class CursorError(ValueError):
    """A cursor that no page gave."""


def write(place: Place) -> str:
    """Write a place as a cursor."""
    return f"{place[0]:.3f}:{place[1]}"


def read(cursor: str) -> Place:
    """Read a place back. Raises CursorError."""
    score, _separator, member = cursor.partition(":")
    try:
        keys.parse_job_id(member)
        return codec.moment(score).timestamp(), member
    except (ValueError, OverflowError) as error:
        raise wrong(cursor) from error


def wrong(cursor: str) -> CursorError:
    """Say of a cursor that no page gave it."""
    return CursorError(
        f"cursor {cursor[:_SHOWN]!r}: use the next_cursor of the page before, unchanged"
    )
