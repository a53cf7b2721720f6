"""Who asks: the one place where the pages and the JSON API learn it.

A person has a session, or comes through a proxy that signed it in; a script has a bearer token.
Nobody is believed by a header alone: a proxy's counts only from the addresses configured for it.
Every function raises RedisError.
"""

from datetime import UTC, datetime
from ipaddress import ip_address

from flask import request, session

from pushes.access import sessions, tokens, users
from pushes.access.principals import AccessNameError, Principal, check_name
from pushes.access.users import ConsoleUser
from service.deps import Deps

# In the cookie: the name of the session, which Redis knows.
SESSION = "session"


def by_page(deps: Deps) -> Principal | None:
    """Return who looks at a page: whom the proxy signed in, else whose session it is."""
    user = by_proxy(deps) or by_session(deps)
    return user.principal if user else None


def by_session(deps: Deps) -> ConsoleUser | None:
    """Return whose session the cookie names."""
    name = session.get(SESSION)
    return sessions.find(deps.ledger.redis, name) if isinstance(name, str) else None


def by_proxy(deps: Deps) -> ConsoleUser | None:
    """Return the user that a trusted proxy names in its header; it must have been added here."""
    header = deps.settings.user_header
    if header is None or not (name := request.headers.get(header)):
        return None
    if not _is_from_proxy(deps):
        return None
    try:
        return users.find(deps.ledger.redis, check_name(name))
    except AccessNameError:
        return None


def by_token(deps: Deps) -> Principal | None:
    """Return whose bearer token the request carries."""
    sent = request.authorization
    if sent is None or sent.type != "bearer" or not sent.token:
        return None
    return tokens.authenticate(deps.ledger.redis, sent.token, datetime.now(UTC))


def _is_from_proxy(deps: Deps) -> bool:
    """Whether who connected is a proxy that signs people in, whatever X-Forwarded-For says."""
    before = request.environ.get("werkzeug.proxy_fix.orig", request.environ)
    try:
        address = ip_address(before.get("REMOTE_ADDR") or "")
    except ValueError:  # a unix socket has none
        return False
    return any(address in network for network in deps.settings.user_header_from or ())
