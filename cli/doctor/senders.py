"""Whom the web process believes to be Klarna, and by which address it knows who connects."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from redis import Redis

from cli.doctor.check import Check, Severity
from pushes.accounts import sources
from pushes.accounts.settings import PushRules, SenderSettings
from pushes.accounts.sources import KLARNA_ADDRESSES
from pushes.settings import ConfigurationError
from pushes.settings.environment import read

# An address that nobody has; a sender may write anything into X-Forwarded-For. Source: RFC 5737.
MADE_UP = "192.0.2.1"


def settings(environment: Mapping[str, str]) -> SenderSettings | Check:
    """Read how the web process learns who pushes; a check when that is not usable."""
    try:
        return read(SenderSettings, environment)
    except ConfigurationError as error:
        seen = "; ".join(str(error).splitlines())
        remedy = "Correct it; the web process ends with exit code 78 until it is right."
        return Check("proxy hops", Severity.FAILED, seen, remedy)


def hops(read_settings: SenderSettings) -> Check:
    """Say what PROXY_HOPS means."""
    count = read_settings.proxy_hops
    if not count:
        seen = "PROXY_HOPS is 0 in this environment: a sender is whoever connects"
    else:
        proxies = "the proxy in front" if count == 1 else f"the outermost of {count} proxies"
        seen = f"PROXY_HOPS is {count}: a sender is whom {proxies} names"
    return Check("proxy hops", Severity.OK, seen)


def trusted(account: str, read_settings: SenderSettings, rules: PushRules) -> Check:
    """Say which addresses an account trusts from the start."""
    more = {
        "PUSHES_FROM": read_settings.trusted_addresses or (),
        "pushes_from": rules.pushes_from,
    }
    named = [f"{', '.join(map(str, found))} of {name}" for name, found in more.items() if found]
    seen = "; ".join([f"Klarna's {len(KLARNA_ADDRESSES)}", *named])
    return Check("trusted addresses", Severity.OK, seen, account=account)


def seen_so_far(account: str, redis: Redis, read_settings: SenderSettings) -> Iterator[Check]:
    """Look whether pushes are seen to come from a network of ours: then a proxy is not counted.

    Raises RedisError.
    """
    own = sources.networks_of_ours(sources.all_sources(redis, account))
    if own:
        yield from_own_networks(account, own, read_settings.proxy_hops)


def from_own_networks(account: str, networks: Sequence[str], proxy_hops: int) -> Check:
    """Say what it means that pushes of an account come from private networks. Pure."""
    seen = f"pushes are seen to come from {', '.join(networks)}, where Klarna is not"
    remedy = (
        f"Set PROXY_HOPS to the number of proxies in front of the web process (here it is"
        f" {proxy_hops}), so that made-up pushes can be told from Klarna's. Nothing, if they are"
        " your own trials."
    )
    return Check("senders", Severity.WARNING, seen, remedy, account)


@dataclass(frozen=True, slots=True)
class ConnectionEnds:
    """Both ends of a connection, as this machine sees them."""

    ours: str
    theirs: str


def whence(seen_from: str, connection: ConnectionEnds) -> Check:
    """Judge by which address the web process knows a push from here. Pure."""
    if seen_from == MADE_UP:
        seen = f"a push from here that says it is {MADE_UP} is believed: anybody passes for Klarna"
        remedy = "Lower PROXY_HOPS to the number of proxies, or let the outermost set the header."
        return Check("proxy hops at the push URL", Severity.FAILED, seen, remedy)
    if seen_from == connection.ours:
        seen = f"a push from here is seen to come from {seen_from}, as it does"
        return Check("proxy hops at the push URL", Severity.OK, seen)
    if seen_from == connection.theirs or not _is_public(seen_from):
        seen = f"a push from here is seen to come from {seen_from or 'nobody'}: that is a proxy's"
        remedy = "Raise PROXY_HOPS to the number of proxies: all pushes seem to have one sender."
        return Check("proxy hops at the push URL", Severity.FAILED, seen, remedy)
    seen = f"a push from here is seen to come from {seen_from}: the public address of this machine?"
    return Check("proxy hops at the push URL", Severity.OK, seen)


def _is_public(address: str) -> bool:
    try:
        return ip_address(address).is_global
    except ValueError:
        return False
