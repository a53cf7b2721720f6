"""Whether the operations console is closed to those who are not to see it."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import requests

from cli.doctor.check import Check, Severity
from pushes.access.principals import UserRole
from pushes.access.users import ConsoleUser

_TIMEOUT_S = 5.0

# What stands in every page of the console, and in no other page.
_OURS = "\N{MIDDLE DOT} klarna-ack</title>"


def users(found: Sequence[ConsoleUser]) -> Check:
    """Look who may sign in."""
    if not found:
        return Check("console users", Severity.OK, "none: nobody can sign in")
    admins = [user for user in found if user.principal.role is UserRole.ADMIN]
    seen = f"{len(found)}, {len(admins)} of them admin"
    if not admins:
        remedy = "`klarna-ack user add NAME --role admin`: only an admin sees who has access."
        return Check("console users", Severity.WARNING, seen, remedy)
    return Check("console users", Severity.OK, seen)


def at(push_url: str, user_header: str | None, somebody: str | None) -> Check:
    """Ask for the console where pushes go: without signing in it must not be seen.

    Writes the header with which a proxy signs people in, too, with the name of `somebody`: a proxy
    that lets it through lets in whoever writes it.
    """
    parts = urlsplit(push_url)
    url = f"{parts.scheme}://{parts.netloc}/ops/"
    headers = {user_header: somebody} if user_header and somebody else {}
    try:
        answer = requests.get(url, headers=headers, timeout=_TIMEOUT_S, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:
        return Check("console", Severity.OK, f"not there ({type(error).__name__})")
    return judge(answer.status_code, answer.headers.get("Location", ""), answer.text)


def judge(status: int, location: str, text: str) -> Check:
    """Say what the answer to somebody who has not signed in means. Pure."""
    if status == requests.codes.ok and _OURS in text:
        seen = "anybody sees it who knows the push URL's host"
        remedy = (
            "Let the proxy hand on /push and /notification alone, and take OPS_USER_HEADER out of"
            " what clients send; OPS_USER_HEADER_FROM names only the proxy that signs people in."
        )
        return Check("console", Severity.FAILED, seen, remedy)
    if urlsplit(location).path in {"/ops/sign-in", "/ops/closed"}:
        seen = "it can be reached at the push URL's host, and asks to sign in"
        remedy = "If it is to be seen from your own network only, let the proxy refuse /ops."
        return Check("console", Severity.WARNING, seen, remedy)
    return Check("console", Severity.OK, f"not to be seen at the push URL's host ({status})")
