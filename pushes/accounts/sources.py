"""Who pushes, and whom of them we trust.

A push is unsigned, but its sender cannot make up where it comes from. Klarna's own addresses are
trusted from the start, and so are those that a setting names. Any other network is an unverified
source until it has pushed many real orders, and becomes one again by made-up ones. Once somebody
who is trusted pushes for an account, the pushes of unverified sources wait apart; so a flood of
made-up ids does not stand in Klarna's way. What one network has waiting is bounded, trusted or not,
and only a little of it stands among the fresh pushes of others. Nothing is refused for its source
alone: Klarna may push from a new network tomorrow.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2s
from types import MappingProxyType
from typing import cast

from redis import Redis

from pushes import policy
from pushes.model import TRUSTED, Lane
from pushes.store import keys

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Where Klarna's pushes come from: first live, then the playground. Source: Klarna docs,
# "Callbacks" (docs.klarna.com/api/callbacks), as of November 2026. Kustom publishes none.
KLARNA_ADDRESSES = (
    *("52.17.117.56", "52.17.176.198", "52.0.45.33", "52.0.46.187"),
    *("13.211.30.100", "3.104.49.49", "13.54.229.130"),
    *("34.242.203.160", "34.242.19.4", "52.45.47.152", "34.235.91.238"),
    *("3.24.91.202", "52.62.115.68", "52.63.129.92"),
)

# The header in which a sender who has the token is told by which address it is known.
SEEN_FROM = "Klarna-Ack-Seen-From"

# Where no sender in the internet is: these are proxies of ours. Source: RFC 1918.
_OURS = ("127.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12", "10.0.0.0/8")

# Senders stand side by side; an IPv6 site commonly has a /48.
_IPV4_PREFIX = 24
_IPV6_PREFIX = 48

# An address is a person's data in some places: only a digest of its network is kept.
_DIGEST_BYTES = 4

# Some proxies write the sender's port behind the address: 192.0.2.1:4711, [2001:db8::1]:4711.
_WITH_PORT = re.compile(r"\[(?P<v6>.+)\](:[0-9]+)?|(?P<v4>[0-9.]+):[0-9]+")


class SourceNames:
    """Names the source of a push by its sender's address."""

    def __init__(self, trusted: Iterable[Network] = ()) -> None:
        klarna = (ipaddress.ip_network(address) for address in KLARNA_ADDRESSES)
        self._trusted = (*klarna, *trusted)
        self.of = lru_cache(maxsize=1024)(self._of)  # Klarna pushes from a few addresses

    def _of(self, address: str | None) -> str | None:
        """Name the source of an address; None when there is none that can be read."""
        text = (address or "").strip()
        if with_port := _WITH_PORT.fullmatch(text):
            text = with_port["v6"] or with_port["v4"]
        try:
            ip = ipaddress.ip_address(text)
        except ValueError:
            return None
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        if any(ip in network for network in self._trusted):
            return TRUSTED
        prefix = _IPV4_PREFIX if ip.version == 4 else _IPV6_PREFIX  # noqa: PLR2004 - IP's own numbers
        network = ipaddress.ip_network(f"{ip}/{prefix}", strict=False)
        return blake2s(network.network_address.packed, digest_size=_DIGEST_BYTES).hexdigest()


class Sources:
    """Names the source of a push for each account: some trust more addresses than all do."""

    def __init__(
        self,
        trusted: Iterable[Network] = (),
        by_account: Mapping[str, Iterable[Network]] = MappingProxyType({}),
    ) -> None:
        for_all = tuple(trusted)
        self._common = SourceNames(for_all)
        self._own = {name: SourceNames((*for_all, *more)) for name, more in by_account.items()}

    def of(self, address: str | None, account: str) -> str | None:
        """Name the source of an address; None when there is none that can be read."""
        return self._own.get(account, self._common).of(address)


@dataclass(frozen=True, slots=True)
class KnownSources:
    """What is known of an account's sources at one moment.

    `proven` are the networks trusted for their orders; `has_trusted` says whether an address that
    is trusted from the start has pushed a real order.
    """

    proven: frozenset[str]
    has_trusted: bool
    unknown_waiting: int

    def trusts(self, source: str | None) -> bool:
        """Whether pushes from this source are believed to be Klarna's."""
        return source == TRUSTED or source in self.proven

    def lane_of(self, source: str | None) -> Lane:
        """Choose the lane for a new push: unverified sources wait apart once one is trusted."""
        somebody_is_known = self.has_trusted or bool(self.proven)
        return Lane.UNKNOWN if somebody_is_known and not self.trusts(source) else Lane.FRESH

    def refuses(self, source: str | None) -> bool:
        """Say whether there are too many pushes from unverified sources already to take another."""
        is_unverified = self.lane_of(source) is Lane.UNKNOWN
        return is_unverified and self.unknown_waiting >= policy.MAX_UNKNOWN_WAITING


def known_sources(redis: Redis, account: str) -> KnownSources:
    """Read what is known of an account's sources, in one round trip. Raises RedisError."""
    pipeline = redis.pipeline(transaction=False)
    pipeline.zrangebyscore(keys.sources(account), policy.PROVEN_BY_ORDERS, "+inf")
    pipeline.zscore(keys.sources(account), TRUSTED)
    pipeline.zcard(keys.unknown(account))
    proven, points, waiting = cast(tuple[list[bytes], float | None, int], pipeline.execute())
    names = frozenset(source.decode() for source in proven) - {TRUSTED}
    return KnownSources(names, has_trusted=points is not None, unknown_waiting=waiting)


def networks_of_ours(names: Iterable[str]) -> list[str]:
    """Find the sources that are loopback or a private network: no sender in the internet is there.

    Takes a fifth of a second when there is none.
    """
    wanted = set(names) - {TRUSTED}
    name_of = SourceNames()._of  # noqa: SLF001 - it is our own, without what it remembers
    found: list[str] = []
    for ours in _OURS:
        if not wanted:
            break
        for network in ipaddress.ip_network(ours).subnets(new_prefix=_IPV4_PREFIX):
            if (name := name_of(str(network.network_address))) in wanted:
                wanted.remove(name)
                found.append(str(network))
    return found


def all_sources(redis: Redis, account: str) -> list[str]:
    """Name every source that an account knows of. Raises RedisError."""
    found = cast(list[bytes], redis.zrange(keys.sources(account), 0, -1))
    return [source.decode(errors="replace") for source in found]


def count_waiting(redis: Redis, account: str, source: str) -> int:
    """Count what waits of one network, outside of the lane `unknown`. Raises RedisError."""
    return redis.zcard(keys.waiting_of(account, source))
