"""What the tests of the terminal share: running a command, and pushes to run it on. No tests."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import time_machine
from click.testing import CliRunner, Result
from redis import Redis

from cli.main import terminal
from devtools.local.sandbox_control import SandboxControl
from pushes import life
from pushes.model import Change, Push, PushKey, Reason, State
from pushes.read import audit, overview
from pushes.read.audit import AuditEntry
from pushes.store import records
from pushes.store.ledger import Ledger
from tests.builders import NOW, a_key, pop, put

# The shape of every time in JSON, for NOW.
NOW_TEXT = "2026-03-01T12:00:00.000Z"
UNKNOWN_ID = "ffffffff-1111-6222-a333-444455556666"


def run(redis_url: str, *arguments: str, stdin: str | bytes = "", **env: str) -> Result:
    """Run a command in this process, as the operator `tester`."""
    settings = {"REDIS_URL": redis_url, "ACCOUNTS_FILE": None, "LOGNAME": "tester", **env}
    return CliRunner().invoke(
        terminal,
        arguments,
        input=stdin,
        env=settings,
        prog_name="klarna-ack",
        catch_exceptions=False,
    )


def answer(result: Result, exit_code: int = 0) -> Any:  # noqa: ANN401 - JSON
    """What a command printed as JSON."""
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


def error(result: Result, exit_code: int) -> str:
    """What a command complained of; it printed nothing else."""
    assert (result.exit_code, result.stdout) == (exit_code, ""), result.output
    return result.stderr


@contextmanager
def at(now: datetime = NOW) -> Iterator[None]:
    """Let it be `now` for everything in this process."""
    with time_machine.travel(now, tick=False):
        yield


def accounts_that_leave_alone(
    directory: Path, sandbox: SandboxControl, *statuses: str
) -> dict[str, str]:
    """The environment of the account `us`, for which these statuses need no acknowledge."""
    file = directory / "accounts.toml"
    file.write_text(
        f'[accounts.us]\napi_url = "{sandbox.url}"\nusername = "sandbox"\npassword = "sandbox"\n'
        f"not_needed_states = {json.dumps(statuses)}\n"
    )
    return {"ACCOUNTS_FILE": str(file)}


def after(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def dead(
    ledger: Ledger,
    *,
    account: str = "default",
    reason: Reason = Reason.REJECTED,
    now: datetime = NOW,
    error: str = "HTTP 400 BAD_VALUE",
) -> PushKey:
    """A push that died at `now`."""
    key = a_key(account)
    put(ledger, State.RUNNING, key, now)
    die(ledger, key, reason, now, error)
    return key


def die(
    ledger: Ledger, key: PushKey, reason: Reason, now: datetime, error: str = "HTTP 400"
) -> None:
    """Let an attempt under way fail for good."""
    assert ledger.advance(key, lambda push: life.dead(push, reason, now, error))


def start(ledger: Ledger, key: PushKey, now: datetime) -> None:
    """Take the push as a worker does: it must be the first in the queue."""
    assert pop(ledger) == f"{key.account}_{key.order_id}"
    assert ledger.advance(key, lambda push: life.started(push, "worker-2", "b" * 32, now))


def take(ledger: Ledger, key: PushKey) -> Push:
    push = records.get(ledger.redis, key)
    assert push is not None
    return push


def brief(key: PushKey, state: str) -> dict[str, str]:
    return {"order_id": key.order_id, "account": key.account, "state": state}


def acted_on(key: PushKey, state: str, result: str | None = None) -> dict[str, str]:
    return {**brief(key, state), "result": result or state}


def audited(redis: "Redis") -> list[AuditEntry | None]:
    """What the audit says, the oldest first."""
    return [line.entry for line in audit.newest_first(redis, limit=1000).lines][::-1]


def events(ledger: Ledger, key: PushKey) -> list[tuple[str, str | None, str | None]]:
    return [(entry.event, entry.detail, entry.by) for entry in records.timeline(ledger.redis, key)]


def counts(ledger: Ledger) -> dict[str, int]:
    """The states that some push is in."""
    return {str(state): count for state, count in overview.counts(ledger, NOW).items() if count}


def everything(redis: "Redis") -> dict[bytes, object]:
    """The whole of Redis, to see that nothing was written."""
    return {key: redis.dump(key) for key in redis.scan_iter(count=1000)}


def commit(ledger: Ledger, change: Change | None) -> Push:
    assert change is not None
    assert ledger.commit_many([change]) == [True]
    return change.after


def two_accounts(directory: Path) -> str:
    """An ACCOUNTS_FILE for `eu` and `us`."""
    path = directory / "accounts.toml"
    path.write_text("[accounts.us]\nusername = 'u'\n[accounts.eu]\nusername = 'e'\n")
    return str(path)
