"""Which trace a push belongs to, as W3C Trace Context has it, from its sender to the shop. Pure.

A push that brings a valid `traceparent` goes on with that trace: the record keeps the text. One
that brings none has a trace all the same, made of its key and of the moment of its first push: the
same for every attempt and every process, and nothing is stored for it.
"""

import re
from hashlib import blake2s

from pushes.model import Push, PushKey

# The header that carries it.
HEADER = "traceparent"

# Source: W3C Trace Context, Level 1, 3.2 "Traceparent Header". Of a later version the beginning is
# read, and only that is handed on.
_TRACEPARENT = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})"
    r"-(?P<parent>(?!0{16})[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)

_FIRST_VERSION = "00"

# "Not sampled" would tell the tracing of whoever gets the header to leave this order out.
_SAMPLED = "01"

_TRACE_BYTES = 16
_SPAN_BYTES = 8


def read(header: str | None) -> str | None:
    """Return a `traceparent` as it is kept, None when there is none or it is not valid."""
    found = _TRACEPARENT.fullmatch(header.strip()) if header else None
    if found is None or (found["version"] == _FIRST_VERSION and found["more"]):
        return None
    return f"{_FIRST_VERSION}-{found['trace']}-{found['parent']}-{found['flags']}"


def trace_id(push: Push) -> str:
    """Return the id of the trace of a push: 32 hexadecimal digits."""
    kept = read(push.trace)
    if kept:
        return kept.split("-")[1]
    # Whole seconds: what is read back from Redis is cut to milliseconds.
    return _made(push.key, str(int(push.first_push_at.timestamp())), _TRACE_BYTES)


def header(push: Push) -> str:
    """Return the `traceparent` for a request that is made for a push, as to a shop.

    It is the same for every attempt: a shop sees of which trace the order is, not which attempt.
    """
    made = _made(push.key, "", _SPAN_BYTES)
    return read(push.trace) or f"{_FIRST_VERSION}-{trace_id(push)}-{made}-{_SAMPLED}"


def _made(key: PushKey, of: str, size: int) -> str:
    text = f"{key.account}/{key.order_id}/{of}"
    return blake2s(text.encode(), digest_size=size).hexdigest()
