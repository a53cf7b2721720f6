"""Where a trial takes place: an empty Redis, the sandbox, and the fleet over both."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from devtools.chaos.fleet import Fleet
from devtools.local.embedded import EmbeddedServer, Fsync
from devtools.local.processes import ROOT, Sandbox
from devtools.local.sandbox_control import OrderBody, SandboxControl
from pushes.accounts.holds import Holds
from pushes.accounts.settings import DEFAULT_ACCOUNT
from pushes.store.ledger import Ledger

FSYNCS: tuple[Fsync, ...] = ("always", "everysec")

# Short enough that a trial sees an order's whole life, long enough that the passing faults do
# not use them up: ten failures in a row.
_SETTINGS = {
    "KLARNA_USERNAME": "sandbox",
    "KLARNA_PASSWORD": "sandbox",
    "KLARNA_RATE_PER_S": "1000",  # the load is what is to be felt here, not the limit
    "RETRY_DELAYS_S": "0.2,0.3,0.4,0.4,0.4,0.5,0.5,0.5,0.5,0.5",
    "NOT_FOUND_DELAYS_S": "0.2,0.3,0.5,0.5,0.5",
}
# Seconds after the first push at which the sandbox pushes an order again, as Klarna does after
# 5, 15 and 30 minutes.
_SCHEDULE_S = [1.5, 3, 5]
_OPERATOR_TIMEOUT_S = 60
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_REPLAY = ("dead", "replay", "--all", "--why", "Klarna is well again", "--by", "chaos")


@dataclass(frozen=True, slots=True)
class ChaosTestbed:
    """What a trial works with."""

    server: EmbeddedServer
    ledger: Ledger
    sandbox: SandboxControl
    fleet: Fleet

    def orders_at_klarna(self) -> dict[str, OrderBody]:
        """Return all orders as the sandbox has them, by id."""
        return {order["order_id"]: order for order in self.sandbox.orders()}

    def resume(self) -> None:
        """Serve the account again when it is held, as an operator who has put it right."""
        with suppress(RedisError):
            Holds(self.ledger.redis).resume(DEFAULT_ACCOUNT, by="chaos", why="the trial is over")

    def replay_the_dead(self) -> None:
        """Replay every dead letter with the operator's own command."""
        subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "cli.main", *_REPLAY],
            env={"REDIS_URL": self.server.url},
            cwd=ROOT,
            timeout=_OPERATOR_TIMEOUT_S,
            check=True,
            capture_output=True,
        )


@contextmanager
def running_testbed(
    fsync: Fsync,
    *,
    webs: int = 2,
    workers: int = 3,
    env: Mapping[str, str] = _NOTHING,
    commands: Mapping[str, Sequence[str]] = _NOTHING,
) -> Iterator[ChaosTestbed]:
    """Start all of it; everything is gone at the end, also after a failure or ctrl-c.

    `commands` are run instead of the Procfile's, by their names there, and see `env` besides.
    """
    with ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="klarna-ack-chaos-")))
        server = stack.enter_context(EmbeddedServer(appendfsync=fsync))
        process = stack.enter_context(Sandbox({}, logs / "sandbox.out"))
        sandbox = stack.enter_context(closing(process.wait_ready()))
        sandbox.settings(push_schedule_s=_SCHEDULE_S)
        urls = {"REDIS_URL": server.url, "KLARNA_API_URL": sandbox.url}
        settings = _SETTINGS | urls | dict(env)
        fleet = Fleet(settings, logs, webs=webs, workers=workers, commands=commands)
        stack.callback(fleet.end)
        sandbox.pusher(f"{fleet.web_urls[0]}/push?klarna_order_id={{checkout.order.id}}")
        redis = stack.enter_context(Redis.from_url(server.url, socket_timeout=5))
        yield ChaosTestbed(server, Ledger(redis), sandbox, fleet)
