"""Which addresses an order may be handed over to: public ones, unless the account allows others.

A merchant writes the URL, perhaps in a form of a shop system, and this process stands inside a
network: without a guard it would call for him what only that network may reach. Each address is
judged when a connection is made to it, after the name was looked up, so that a name cannot be
judged by one answer of DNS and called by another.
"""

import ipaddress

from urllib3 import PoolManager

from klarna.connections import PlainConnection, PlainPool, TLSConnection, TLSPool

# IPv4 inside IPv6, by a gateway of the network. Source: RFC 6052.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

# Of IPv6 only these belong to the internet; elsewhere a network may have routes of its own, such as
# fec0::/10 and ::/96. Source: IANA, "IPv6 Address Space".
_INTERNET = ipaddress.ip_network("2000::/3")


class AddressNotAllowedError(Exception):
    """The shop's host is at no public address."""


class _Guarded(PlainConnection):
    def _allowed(self, addresses: list[str]) -> list[str]:
        """Leave out what is not public. Raises AddressNotAllowedError when nothing is left."""
        allowed = [address for address in addresses if is_public(address)]
        if not allowed:
            raise AddressNotAllowedError(
                "the shop's host is at no public address; allow_private = true allows it"
            )
        return allowed


class _GuardedTLS(_Guarded, TLSConnection):
    pass


class _GuardedPool(PlainPool):
    ConnectionCls = _Guarded


class _GuardedTLSPool(TLSPool):
    ConnectionCls = _GuardedTLS


def use_pools(manager: PoolManager, *, allow_private: bool) -> None:
    """Let a manager make connections that know their deadline, guarded unless all is allowed."""
    manager.pool_classes_by_scheme = (
        {"http": PlainPool, "https": TLSPool}
        if allow_private
        else {"http": _GuardedPool, "https": _GuardedTLSPool}
    )


def is_public(address: str) -> bool:
    """Whether an address belongs to the internet, and is not private, loopback or link-local.

    An IPv4 address inside an IPv6 one is judged as itself.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is None and ip not in _INTERNET:
            return False
        ip = inner or ip
    return ip.is_global and not ip.is_multicast
