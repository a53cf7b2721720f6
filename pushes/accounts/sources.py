"""Who pushes: the networks that have pushed orders which Klarna then showed us.

A push is unsigned, but its sender cannot make up where it comes from. Once somebody has pushed a
real order for an account, his pushes are served before those from unverified sources; so whoever
floods us with made-up ids does not stand in Klarna's way. Nothing is refused for its source alone:
Klarna may push from a new network tomorrow.
"""

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2s
from typing import cast

from redis import Redis

from pushes import policy
from pushes.model import Lane
from pushes.store import codec, keys

# Klarna's senders stand side by side; an IPv6 site commonly has a /48.
_IPV4_PREFIX = 24
_IPV6_PREFIX = 48

# An address is a person's data in some places: only a digest of its network is kept.
_DIGEST_BYTES = 4


# Some proxies write the sender's port behind the address: 192.0.2.1:4711, [2001:db8::1]:4711.
_WITH_PORT = re.compile(r"\[(?P<v6>.+)\](:[0-9]+)?|(?P<v4>[0-9.]+):[0-9]+")


@lru_cache(maxsize=1024)  # Klarna pushes from a few addresses
def source_of(address: str | None) -> str | None:
    """Name the network of an address; None when there is none that can be read."""
    text = (address or "").strip()
    if with_port := _WITH_PORT.fullmatch(text):
        text = with_port["v6"] or with_port["v4"]
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    prefix = _IPV4_PREFIX if ip.version == 4 else _IPV6_PREFIX  # noqa: PLR2004 - IP's own numbers
    network = ipaddress.ip_network(f"{ip}/{prefix}", strict=False)
    return blake2s(network.network_address.packed, digest_size=_DIGEST_BYTES).hexdigest()


@dataclass(frozen=True, slots=True)
class KnownSources:
    """What is known of an account's senders at one moment."""

    trusted: frozenset[str]
    unknown_waiting: int

    def lane_of(self, source: str | None) -> Lane:
        """Choose the lane for a new push: unverified sources wait apart once one is trusted."""
        return Lane.UNKNOWN if self.trusted and source not in self.trusted else Lane.FRESH

    def refuses(self, source: str | None) -> bool:
        """Say whether there are too many pushes from unverified sources already to take another."""
        is_unverified = self.lane_of(source) is Lane.UNKNOWN
        return is_unverified and self.unknown_waiting >= policy.MAX_UNKNOWN_WAITING


def known_sources(redis: Redis, account: str, now: datetime) -> KnownSources:
    """Read what is known of an account's senders, in one round trip. Raises RedisError."""
    pipeline = redis.pipeline(transaction=False)
    pipeline.zrangebyscore(keys.sources(account), codec.epoch(now - policy.PROVEN_FOR), "+inf")
    pipeline.zcard(keys.unknown(account))
    trusted, waiting = cast(tuple[list[bytes], int], pipeline.execute())
    return KnownSources(frozenset(source.decode() for source in trusted), waiting)
