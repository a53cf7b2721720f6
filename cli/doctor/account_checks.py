"""Whether an account's settings are those that Klarna takes, and whether its orders are served."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from cli.doctor.check import Check, Severity
from klarna import (
    Exchange,
    KlarnaClient,
    KlarnaError,
    LocalError,
    MisconfigurationError,
    NoSuchOrderError,
    Observe,
)
from klarna.failures import HOST_NOT_FOUND
from klarna.regions import ApiUrl
from pushes.accounts.holds import AccountHold, Standing
from pushes.model import HoldReason
from pushes.read import views
from pushes.read.alarms import Alarm

# No order has it: Klarna's answer says whether it knows us, and concerns no order.
NO_ORDER = "00000000-0000-0000-0000-000000000000"

# What stands in the way of a few seconds: whole seconds, and how long an answer takes.
_KLARNAS_CLOCK_APART = timedelta(seconds=5)

_LOOPBACK = ("http://127.", "http://localhost", "http://[::1]")


def token(account: str, *, is_set: bool) -> Check:
    """Look whether anybody may push."""
    if is_set:
        return Check("push token", Severity.OK, "set", account=account)
    return Check(
        "push token",
        Severity.WARNING,
        "not set in this environment: unless the web process has it, anybody who knows the push URL"
        " can make work and dead letters here, though never an acknowledgement",
        "Set PUSH_TOKEN for the web process, and add token=… to the push URL at Klarna. Where it is"
        " set, set it for this command, too.",
        account,
    )


def api_url(account: str, url: ApiUrl, rate_per_s: float) -> Check:
    """Look where calls go, and how many a second."""
    kind = "live" if url.is_live else "not live"
    seen = f"{url.url} ({kind}), {rate_per_s:g} requests/s"
    if not url.is_tls and not url.url.startswith(_LOOPBACK):
        remedy = "Use https: the user name and password travel in every request."
        return Check("API URL", Severity.WARNING, seen, remedy, account)
    return Check("API URL", Severity.OK, seen, account=account)


def credentials(account: str, client: KlarnaClient) -> Iterator[Check]:
    """Ask Klarna for an order that does not exist: one call, which changes nothing.

    Its answer says what Klarna's clock says, too.
    """
    seen: list[tuple[Exchange, datetime]] = []
    yield _credentials(account, client, lambda exchange: seen.append((exchange, datetime.now(UTC))))
    for exchange, at in seen:
        yield from klarnas_clock(account, exchange.date, at)


def klarnas_clock(account: str, date: str | None, at: datetime) -> Iterator[Check]:
    """Look how far this machine's clock is from Klarna's, which tells whole seconds. Pure."""
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return
    apart = abs(at - theirs.astimezone(UTC))
    seen = f"{apart.total_seconds():.0f} s from Klarna's"
    if apart > _KLARNAS_CLOCK_APART:
        remedy = "Run NTP: what Klarna says of times, and the 48 hours of its pushes, are off."
        yield Check("Klarna's clock", Severity.WARNING, seen, remedy, account)
    else:
        yield Check("Klarna's clock", Severity.OK, seen, account=account)


def _credentials(account: str, client: KlarnaClient, observe: Observe) -> Check:
    try:
        client.get_order(NO_ORDER, observe=observe)
    except NoSuchOrderError:
        return Check("credentials", Severity.OK, "Klarna takes them", account=account)
    except MisconfigurationError as error:
        return Check(
            "credentials",
            Severity.FAILED,
            str(error),
            "Correct KLARNA_API_URL, KLARNA_USERNAME and KLARNA_PASSWORD, or the account's table "
            "in ACCOUNTS_FILE; restart the workers.",
            account,
        )
    except LocalError as error:
        ours = "Correct this machine as the message says, then run this again."
        return Check("credentials", Severity.WARNING, str(error), ours, account)
    except KlarnaError as error:
        seen = f"could not be told: {error}"
        return Check("credentials", Severity.WARNING, seen, _remedy(error), account)
    return Check("credentials", Severity.OK, "Klarna takes them", account=account)


def _remedy(error: KlarnaError) -> str:
    """Say where to look: at the path to Klarna, or at Klarna."""
    if error.exchange is None or error.exchange.http_status is not None:
        return "Run this again in a minute; look at Klarna's status page."
    if error.exchange.error == HOST_NOT_FOUND:
        return "Correct KLARNA_API_URL, or this machine's DNS; or set HTTPS_PROXY."
    return "Look at the path from here to Klarna (proxy, firewall), then at Klarna's status page."


def alarms(raised: Mapping[Alarm, datetime]) -> Iterator[Check]:
    """Tell what the processes have found to be wrong by themselves."""
    for alarm, since in raised.items():
        seen = f"{alarm} since {views.instant(since)}: {alarm.meaning}"
        yield Check("alarm", Severity.FAILED, seen, alarm.action)


def standing(account: str, found: Standing) -> Iterator[Check]:
    """Look whether its orders are attempted, and whether Klarna knows them."""
    if found.unserved_since:
        yield Check(
            "account",
            Severity.FAILED,
            f"no worker serves it since {views.instant(found.unserved_since)}; its orders wait",
            "Add it to the workers' ACCOUNTS_FILE and send them SIGHUP, or restart them.",
            account,
        )
    elif found.hold:
        yield _held(account, found.hold)
    elif found.pause:
        seen = f"not called for until {views.instant(found.pause.until)}: {found.pause.cause}"
        remedy = f"`klarna-ack resume {account}` ends that sooner."
        yield Check("account", Severity.WARNING, seen, remedy, account)
    else:
        yield Check("account", Severity.OK, "served", account=account)
    if found.is_suspicious:
        yield Check(
            "orders",
            Severity.WARNING,
            f"Klarna knew none of the last {found.unknown_in_a_row}",
            "Probably the wrong region or account: compare them with the shop's.",
            account,
        )


def _held(account: str, hold: AccountHold) -> Check:
    is_pause = hold.reason is HoldReason.OPERATOR
    return Check(
        "account",
        Severity.WARNING if is_pause else Severity.FAILED,
        f"held since {views.instant(hold.since)}: {hold.reason}: {hold.cause}",
        f"`klarna-ack resume {account}` when the reason is gone.",
        account,
    )
