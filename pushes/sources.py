"""Who pushes: the networks that have pushed orders which Klarna then showed us.

A push is unsigned, but its sender cannot make up where it comes from. Once somebody has pushed a
real order for an account, his pushes are served before those of strangers; so whoever floods us
with made-up ids does not stand in Klarna's way. Nothing is refused for its source alone: Klarna may
push from a new network tomorrow.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2s
from typing import cast

from redis import Redis

from pushes import keys, policy, records
from pushes.model import Lane

# Klarna's senders stand side by side; an IPv6 site commonly has a /48.
_IPV4_PREFIX = 24
_IPV6_PREFIX = 48

# An address is a person's data in some places: only a digest of its network is kept.
_DIGEST_BYTES = 4


@lru_cache(maxsize=1024)  # Klarna pushes from a few addresses
def source_of(address: str | None) -> str | None:
    """Name the network of an address; None when there is none that can be read."""
    try:
        ip = ipaddress.ip_address((address or "").strip())
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    prefix = _IPV4_PREFIX if ip.version == 4 else _IPV6_PREFIX  # noqa: PLR2004 - IP's own numbers
    network = ipaddress.ip_network(f"{ip}/{prefix}", strict=False)
    return blake2s(network.network_address.packed, digest_size=_DIGEST_BYTES).hexdigest()


@dataclass(frozen=True, slots=True)
class Senders:
    """What is known of an account's senders at one moment."""

    proven: frozenset[str]
    unknown_waiting: int

    def lane_of(self, source: str | None) -> Lane:
        """Choose the lane for a new push: strangers wait apart, once somebody is no stranger."""
        return Lane.UNKNOWN if self.proven and source not in self.proven else Lane.FRESH

    def refuses(self, source: str | None) -> bool:
        """Say whether there are too many pushes of strangers already to take another."""
        is_stranger = self.lane_of(source) is Lane.UNKNOWN
        return is_stranger and self.unknown_waiting >= policy.MAX_UNKNOWN_WAITING


def senders(redis: Redis, account: str, now: datetime) -> Senders:
    """Read what is known of an account's senders, in one round trip. Raises RedisError."""
    pipeline = redis.pipeline(transaction=False)
    pipeline.zrangebyscore(keys.sources(account), records.epoch(now - policy.PROVEN_FOR), "+inf")
    pipeline.zcard(keys.unknown(account))
    proven, waiting = cast(tuple[list[bytes], int], pipeline.execute())
    return Senders(frozenset(source.decode() for source in proven), waiting)
