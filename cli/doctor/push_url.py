"""Whether a push gets in from outside: through the real proxy, with the token, over valid TLS.

Sends one push that names no order. The web process refuses it as such (400) after it has looked at
the token, so the answer tells how far a push comes, and nothing is stored.
"""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import requests

from cli.doctor import senders
from cli.doctor.check import Check, Severity
from cli.doctor.senders import ConnectionEnds
from pushes.accounts.sources import SEEN_FROM

_TIMEOUT_S = 5.0

# Klarna's push client accepts no certificate that has expired; who renews by hand needs days.
_RENEWED_BEFORE = timedelta(days=14)

_PORTS = {"https": 443, "http": 80}


def examine(url: str, token: str | None, now: datetime) -> Iterator[Check]:
    """Look at the push URL as Klarna has it, but for order id and token."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        yield _certificate(parts.hostname, parts.port or _PORTS["https"], now)
    elif parts.scheme == "http":
        remedy = "Give the https URL that Klarna has: Klarna pushes to no other."
        yield Check("push URL", Severity.WARNING, "it is not https", remedy)
    yield from _pushed(url, token)


def _pushed(url: str, token: str | None) -> Iterator[Check]:
    """Push without an order, and with an address that a sender makes up."""
    query = {"token": token} if token else {}
    headers = {"X-Forwarded-For": senders.MADE_UP}
    try:
        answer = requests.post(
            url, params=query, headers=headers, timeout=_TIMEOUT_S, allow_redirects=False
        )
    except (requests.RequestException, ValueError) as error:
        remedy = "Look at DNS, firewall, proxy and certificate, from outside as well."
        yield Check("push URL", Severity.FAILED, f"no answer ({type(error).__name__})", remedy)
        return
    yield judge(answer.status_code, answer.headers.get("Content-Type", ""))
    connection = _connection(url)
    if SEEN_FROM in answer.headers and connection is not None:
        yield senders.whence(answer.headers[SEEN_FROM], connection)
    else:
        seen = "only somebody who pushes with the right token is told how he is seen"
        remedy = "Set PUSH_TOKEN, here as for the web process."
        yield Check("proxy hops at the push URL", Severity.SKIPPED, seen, remedy)


def _connection(url: str) -> ConnectionEnds | None:
    """Connect once more, to learn which addresses the two ends have."""
    parts = urlsplit(url)
    try:
        port = parts.port or _PORTS[parts.scheme]
        with socket.create_connection((parts.hostname or "", port), _TIMEOUT_S) as connection:
            return ConnectionEnds(connection.getsockname()[0], connection.getpeername()[0])
    except (OSError, ValueError, KeyError):
        return None


def judge(status: int, content_type: str) -> Check:
    """Say what the answer to a push without an order means. Pure."""
    is_ours = content_type.startswith("application/problem+json")
    if status == requests.codes.bad_request and is_ours:
        return Check("push URL", Severity.OK, "reached, and the token is taken")
    if status == requests.codes.not_found and is_ours:
        seen, remedy = (
            "reached, and refused: 404",
            "Compare the path, the account and the token with the web process's PUSH_TOKEN.",
        )
    elif is_ours:
        seen, remedy = f"reached, and answered {status}", "Look at the web process's /readyz."
    else:
        seen = f"answered {status}, and not by the web process"
        remedy = "Let the proxy hand on POST /push to it, without a redirect."
    return Check("push URL", Severity.FAILED, seen, remedy)


def _certificate(host: str, port: int, now: datetime) -> Check:
    try:
        with (
            socket.create_connection((host, port), _TIMEOUT_S) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secured,
        ):
            certificate = secured.getpeercert() or {}
    except (OSError, ValueError) as error:
        seen = f"not taken ({getattr(error, 'verify_message', '') or type(error).__name__})"
        remedy = "Put a certificate in place that any client takes, with its whole chain."
        return Check("push URL certificate", Severity.FAILED, seen, remedy)
    expires = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    return expiry(datetime.fromtimestamp(expires, UTC), now)


def expiry(at: datetime, now: datetime) -> Check:
    """Say whether a certificate is valid for long enough. Pure."""
    seen = f"valid for {(at - now).days} days"
    if at - now < _RENEWED_BEFORE:
        remedy = "Renew it: without a valid one no push arrives."
        return Check("push URL certificate", Severity.WARNING, seen, remedy)
    return Check("push URL certificate", Severity.OK, seen)
