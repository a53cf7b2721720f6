"""The texts by which an order is found besides its id, and the digests that stand for them. Pure.

A digest tells a bucket, and a score in it. Whoever finds an order by one holds the text against the
record, or trusts that no two texts share 64 bits.
"""

from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple

from pushes.model import Push

# Up to four million orders in 30 days a bucket holds less than 128 entries: so far Redis packs it.
_BUCKETS = 4096

# Redis counts scores in doubles, which are exact up to 53 bits.
_DIGEST_BITS = 52


class Kind(StrEnum):
    """Which text of an order it is."""

    KLARNA_REFERENCE = "klarna"
    MERCHANT_REFERENCE1 = "merchant1"
    MERCHANT_REFERENCE2 = "merchant2"
    CORRELATION_ID = "correlation"


class Digest(NamedTuple):
    """What stands for a text: the bucket, and the score in it."""

    bucket: int
    score: int


def normal(text: str) -> str:
    """Write a text as it is compared: case and the width of spaces do not count."""
    return " ".join(text.casefold().split())


def digest(text: str) -> Digest:
    """Return what stands for a text."""
    raw = blake2b(normal(text).encode(errors="replace"), digest_size=9).digest()
    high, score = divmod(int.from_bytes(raw), 1 << _DIGEST_BITS)
    return Digest(high % _BUCKETS, score)


def texts(push: Push) -> dict[Kind, str]:
    """Name the texts by which a push is found."""
    order = push.order
    found = {
        Kind.KLARNA_REFERENCE: order.klarna_reference,
        Kind.MERCHANT_REFERENCE1: order.merchant_reference1,
        Kind.MERCHANT_REFERENCE2: order.merchant_reference2,
        Kind.CORRELATION_ID: push.correlation_id,
    }
    if order.merchant_reference2 == order.merchant_reference1:
        del found[Kind.MERCHANT_REFERENCE2]
    return {kind: text for kind, text in found.items() if text and normal(text)}
