"""SIGHUP: processes read their accounts again, and go on with what they have when they cannot."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import requests
from redis import Redis

from devtools.local.processes import Processes, poll
from devtools.local.sandbox_control import SandboxControl
from pushes.model import PushKey, State
from pushes.store import records


class AccountsFile:
    """ACCOUNTS_FILE as an operator edits it."""

    def __init__(self, path: Path, api_url: str) -> None:
        self.path = path
        self._api_url = api_url

    def write(self, **passwords: str) -> None:
        """Name these accounts, each with its password."""
        self.path.write_text(
            "".join(
                f'[accounts.{name}]\napi_url = "{self._api_url}"\nusername = "sandbox"\n'
                f'password = "{password}"\n'
                for name, password in passwords.items()
            )
        )


@contextmanager
def both_processes(redis_url: str, accounts: AccountsFile, directory: Path) -> Iterator[Processes]:
    env = {"REDIS_URL": redis_url, "ACCOUNTS_FILE": str(accounts.path)}
    processes = Processes(env, directory)
    try:
        yield processes
    finally:
        processes.kill_all()


def state_of(redis: Redis, account: str, order_id: str) -> State | None:
    push = records.get(redis, PushKey(account, order_id))
    return push.state if push else None


def test_what_was_corrected_serves_at_sighup_and_what_is_not_usable_changes_nothing(
    redis_client: Redis, redis_url: str, sandbox: SandboxControl, tmp_path: Path
) -> None:
    accounts = AccountsFile(tmp_path / "accounts.toml", sandbox.url)
    accounts.write(first="sandbox", second="not-the-password")
    of_first, of_second, of_third = sandbox.create_orders(count=3)

    with both_processes(redis_url, accounts, tmp_path) as processes:
        web, worker = processes.web().wait_ready(), processes.worker().wait_ready()
        pid = worker.pid

        def push(account: str, order_id: str) -> int:
            url = web.push_url.replace("/push?", f"/push/{account}?")
            return requests.post(url + order_id, timeout=5).status_code

        def await_state(account: str, order_id: str, state: State) -> None:
            poll(lambda: state_of(redis_client, account, order_id) is state, 60)

        assert push("first", of_first) == HTTPStatus.OK
        assert push("second", of_second) == HTTPStatus.OK
        assert push("third", of_third) == HTTPStatus.NOT_FOUND
        await_state("first", of_first, State.ACKNOWLEDGED)
        await_state("second", of_second, State.HELD)

        accounts.path.write_text("[accounts.first\n")
        for process in (web, worker):
            process.signal(signal.SIGHUP)
            process.wait_for_line(r"settings\.not_reloaded")
        (again,) = sandbox.create_orders(count=1)
        assert push("first", again) == HTTPStatus.OK
        await_state("first", again, State.ACKNOWLEDGED)

        accounts.write(first="sandbox", second="sandbox", third="sandbox")
        for process in (web, worker):
            process.signal(signal.SIGHUP)
            process.wait_for_line(r"settings\.reloaded")
        poll(lambda: push("third", of_third) == HTTPStatus.OK, 60)
        await_state("third", of_third, State.ACKNOWLEDGED)
        await_state("second", of_second, State.ACKNOWLEDGED)
        assert (worker.pid, worker.exit_code) == (pid, None)
        for process in (web, worker):
            assert "not-the-password" not in process.log
