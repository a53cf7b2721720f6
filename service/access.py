"""Who asks: the one place where the pages and the JSON API learn it.

A person has a session, or comes through a proxy that signed it in; a script has a bearer token.
Nobody is believed by a header alone: a proxy's counts only from the addresses configured for it.
Every function raises RedisError.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, TypeVar, cast

from flask import g, request, session
from werkzeug.exceptions import BadRequest, NotFound, Unauthorized
from werkzeug.sansio.utils import host_is_trusted

from pushes.access import sessions, tokens, users
from pushes.access.principals import AccessNameError, Principal, UserRole, check_name
from pushes.access.users import ConsoleUser
from pushes.model import PushKey
from pushes.read.runs import BulkRun
from pushes.store import keys
from service import deps
from service.deps import Deps

# In the cookie: the name of the session, which Redis knows.
SESSION = "session"

# In the cookie, too: when its owner changed something last, epoch seconds.
_CHANGED_AT = "changed_at"

# Without OPS_URL the console is for whoever sits at the machine, or comes through a tunnel.
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")

_View = TypeVar("_View", bound=Callable[..., Any])


def public(view: _View) -> _View:
    """Mark a view as open to whoever is not signed in and has no token."""
    view.is_public = True  # type: ignore[attr-defined]  # a mark on a function
    return view


def needs(role: UserRole) -> Callable[[_View], _View]:
    """Mark what role a view needs; otherwise a GET needs a viewer, a POST an operator."""

    def mark(view: _View) -> _View:
        view.needs = role  # type: ignore[attr-defined]  # as above
        return view

    return mark


def principal() -> Principal:
    """Return who asks, as the gate has found out. Raises Unauthorized for nobody."""
    who = cast(Principal | None, g.get("principal"))
    if who is None:
        raise Unauthorized
    return who


def key_of(account: str, order_id: str) -> PushKey:
    """Return the key of an order. Raises NotFound for none, and for one that is not theirs."""
    try:
        key = PushKey(account, order_id)
    except ValueError as error:
        raise NotFound(f"There is no such order: {error}.") from error
    check_account(account)
    return key


def check_account(account: str | None) -> None:
    """Raise NotFound for an account that who asks may not see."""
    if account is not None and not principal().sees(account):
        raise NotFound(f"There is no account {account[:40]!r} that you may see.")


def check_known(account: str) -> str:
    """Return an account. Raises NotFound for one that nobody knows, or that is not theirs."""
    found = deps.current()
    check_account(account)
    is_configured = account in found.settings.tokens
    if not is_configured and not found.ledger.redis.sismember(keys.ACCOUNTS, account):
        raise NotFound(f"There is no account {account[:40]!r} that you may see.")
    return account


def may_see(run: BulkRun) -> bool:
    """Whether who asks may see and steer a run: it is over their accounts alone, or their own."""
    who = principal()
    if who.accounts is None or run.by == who.name:
        return True
    if run.account is not None:
        return who.sees(run.account)
    return bool(run.wanted and run.wanted.accounts and run.wanted.accounts <= set(who.accounts))


def is_public(view: Callable[..., Any]) -> bool:
    """Whether a view is marked as open."""
    return getattr(view, "is_public", False)


def role_for(view: Callable[..., Any]) -> UserRole:
    """Return the role that the request needs for a view."""
    by_default = UserRole.VIEWER if request.method in {"GET", "HEAD"} else UserRole.OPERATOR
    role: UserRole = getattr(view, "needs", by_default)
    return role


def check_host() -> None:
    """Raise BadRequest unless the request is for the address of OPS_URL, or for this machine."""
    url = deps.current().settings.ops_url
    hosts = (url.host or "",) if url else _LOCAL_HOSTS
    if not host_is_trusted(request.host, hosts):
        raise BadRequest("This is not the address of the console. OPS_URL says what is.")


def note_change() -> None:
    """Remember, for whatever process shows their next page, that they have changed something."""
    session[_CHANGED_AT] = datetime.now(UTC).timestamp()


def changed_at() -> datetime | None:
    """Say when who looks at a page changed something last."""
    at = session.get(_CHANGED_AT)
    return datetime.fromtimestamp(at, UTC) if isinstance(at, float) else None


def by_page(found: Deps) -> Principal | None:
    """Return who looks at a page: whom the proxy signed in, else whose session it is."""
    user = by_proxy(found) or by_session(found)
    return user.principal if user else None


def by_session(found: Deps) -> ConsoleUser | None:
    """Return whose session the cookie names."""
    name = session.get(SESSION)
    return sessions.find(found.ledger.redis, name) if isinstance(name, str) else None


def by_proxy(found: Deps) -> ConsoleUser | None:
    """Return the user that a trusted proxy names in its header; it must have been added here."""
    header = found.settings.user_header
    if header is None or not (name := request.headers.get(header)):
        return None
    if not _is_from_proxy(found):
        return None
    try:
        return users.find(found.ledger.redis, check_name(name))
    except AccessNameError:
        return None


def by_token(found: Deps) -> Principal | None:
    """Return whose bearer token the request carries."""
    sent = request.authorization
    if sent is None or sent.type != "bearer" or not sent.token:
        return None
    return tokens.authenticate(found.ledger.redis, sent.token, datetime.now(UTC))


def _is_from_proxy(found: Deps) -> bool:
    """Whether who connected is a proxy that signs people in, whatever X-Forwarded-For says."""
    before = request.environ.get("werkzeug.proxy_fix.orig", request.environ)
    try:
        address = ip_address(before.get("REMOTE_ADDR") or "")
    except ValueError:  # a unix socket has none
        return False
    return any(address in network for network in found.settings.user_header_from or ())
