"""The way into the demo's console, and what it opens on: every state, and a replay under way.

All of it comes about as in life: orders are pushed, the stand-in for Klarna fails, somebody acts;
of four accounts each fares differently.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import click
from redis import Redis

from devtools.local.demo.stack import AccountName, Stack
from devtools.local.seeds import seeded
from pushes.access import sessions, users
from pushes.access.principals import Principal, UserRole
from pushes.operate import hold
from pushes.operate.runs import steer
from pushes.operate.runs.steer import RunRequest
from pushes.read import dead_letters
from pushes.read.dead_letters import Filter
from pushes.read.runs import RunAction

_OPERATOR: Final = "demo"

# So many orders Klarna refused once, and would take now: their replay lasts ten minutes.
_LETTERS: Final = 120
_REPLAYS_PER_S: Final = 0.2
_INCIDENT: Final = "UNSUPPORTED_MEDIA_TYPE"

# So many wait where one request a second is allowed: that lasts as long.
_BACKLOG: Final = 150
_SLOW_S: Final = 4.0

_HELD: Final = 8

_CURRENCIES: Final = {
    AccountName.SERVED: "SEK",
    AccountName.REFUSED: "NOK",
    AccountName.PAUSED: "DKK",
    AccountName.LIMITED: "EUR",
}


@dataclass(frozen=True)
class _Trouble:
    """How Klarna fails, at which call and how often (None: always), for so many orders."""

    orders: int
    fault: str
    operation: str
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    times: int | None = None
    account: AccountName = AccountName.SERVED


_TROUBLES: Final = (
    _Trouble(3, "status", "acknowledge", {"status": 403, "error_code": "NOT_ALLOWED"}),
    _Trouble(2, "status", "acknowledge", {"status": 400, "error_code": "BAD_VALUE"}, times=1),
    _Trouble(1, "wrong_order_id", "get_order"),
    _Trouble(2, "status", "acknowledge", {"status": 503}),
    _Trouble(_LETTERS, "status", "acknowledge", {"status": 415, "error_code": _INCIDENT}, times=1),
    _Trouble(
        _BACKLOG, "slow", "get_order", {"delay_s": _SLOW_S}, times=1, account=AccountName.LIMITED
    ),
)


def make_link(stack: Stack) -> str:
    """Make a link that signs an admin in once; it has no password."""
    with Redis.from_url(stack.settings["REDIS_URL"]) as redis:
        demo = Principal(_OPERATOR, UserRole.ADMIN)
        user = users.find(redis, _OPERATOR) or users.add(
            redis, demo, password=None, by="klarna-ack dev", now=datetime.now(UTC)
        )
        return f"{stack.web.url}/ops/link?code={sessions.make_link(redis, user)}"


class OpeningScene:
    """Brings it about: all at once but for the replay, which needs letters that are dead."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._is_replaying = False
        self._chance = seeded("demo", "amounts")

    def set_up(self) -> None:
        """Push what will be in trouble, and pause an account."""
        for trouble in _TROUBLES:
            self._push(trouble)
        self._stack.sandbox.create_orders(status="CANCELLED", push=True)
        with self._redis() as redis:
            hold.pause(redis, AccountName.PAUSED, by=_OPERATOR, why="The shop moves tonight")
        for account in (AccountName.REFUSED, AccountName.PAUSED):
            for _ in range(_HELD):
                self._stack.sandbox.push(self._order(account))
        click.echo("Some orders are in trouble on purpose: the console says why, and what to do.")

    def go_on(self) -> None:
        """Start the replay once all of its letters are dead; may be called again and again."""
        if self._is_replaying:
            return
        wanted = Filter(account=AccountName.SERVED, code=_INCIDENT)
        with self._redis() as redis:
            if dead_letters.count(redis, wanted) < _LETTERS:
                return
            request = RunRequest(
                RunAction.REPLAY, _OPERATOR, "Klarna takes them again", rate_per_s=_REPLAYS_PER_S
            )
            steer.start(redis, request, wanted, datetime.now(UTC))
        self._is_replaying = True

    def _push(self, trouble: _Trouble) -> None:
        sandbox = self._stack.sandbox
        for _ in range(trouble.orders):
            order_id = self._order(trouble.account)
            how_often = {} if trouble.times is None else {"times": trouble.times}
            sandbox.add_fault(
                trouble.fault,
                operation=trouble.operation,
                order_id=order_id,
                params=dict(trouble.params),
                **how_often,
            )
            sandbox.push(order_id)

    def _order(self, account: AccountName) -> str:
        """Make an order of an account, in its currency, worth something between 49 and 2,500."""
        return self._stack.sandbox.create_order(
            amount=self._chance.randrange(4_900, 250_000, 100),
            currency=_CURRENCIES[account],
            push_url=self._stack.push_url_of(account),
        )

    def _redis(self) -> Redis:
        return Redis.from_url(self._stack.settings["REDIS_URL"])
