"""Accounts under running processes: SIGHUP reads them again, and the trouble of one is its own."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from statistics import median

import requests
from redis import Redis

from devtools.local.processes import Processes, Web, poll
from devtools.local.sandbox_control import SandboxControl
from pushes.accounts.holds import Holds
from pushes.model import HoldReason, Push, PushKey, State
from pushes.store import records
from pushes.store.ledger import Ledger

ROUNDS = 25
# How much a busy machine may differ from itself. To wait for a hold or a probe takes seconds.
UNNOTICED_S = 0.1


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


def push_to(web: Web, account: str, order_id: str) -> int:
    """Push an order as Klarna would, and give the status of the answer."""
    url = web.push_url.replace("/push?", f"/push/{account}?")
    return requests.post(url + order_id, timeout=5).status_code


def failed_for_good(redis: Redis) -> list[str]:
    ids: list[str] = Ledger(redis).rq.queue.failed_job_registry.get_job_ids(cleanup=False)
    return ids


def test_what_was_corrected_serves_at_sighup_and_what_is_not_usable_changes_nothing(
    redis_client: Redis, redis_url: str, sandbox: SandboxControl, tmp_path: Path
) -> None:
    accounts = AccountsFile(tmp_path / "accounts.toml", sandbox.url)
    accounts.write(first="sandbox")
    of_first, of_second = sandbox.create_orders(count=2)

    with both_processes(redis_url, accounts, tmp_path) as processes:
        web, worker = processes.web().wait_ready(), processes.worker().wait_ready()
        pid = worker.pid
        push = partial(push_to, web)

        def await_acknowledged(account: str, order_id: str) -> None:
            poll(lambda: state_of(redis_client, account, order_id) is State.ACKNOWLEDGED, 60)

        assert push("first", of_first) == HTTPStatus.OK
        assert push("second", of_second) == HTTPStatus.NOT_FOUND
        await_acknowledged("first", of_first)

        accounts.path.write_text("[accounts.first\n")
        for process in (web, worker):
            process.signal(signal.SIGHUP)
            process.wait_for_line(r"settings\.not_reloaded")
        (again,) = sandbox.create_orders(count=1)
        assert push("first", again) == HTTPStatus.OK
        await_acknowledged("first", again)

        accounts.write(first="sandbox", second="sandbox")
        for process in (web, worker):
            process.signal(signal.SIGHUP)
            process.wait_for_line(r"settings\.reloaded")
        poll(lambda: push("second", of_second) == HTTPStatus.OK, 60)
        await_acknowledged("second", of_second)
        assert (worker.pid, worker.exit_code) == (pid, None)


def test_a_wrong_password_is_noticed_by_no_other_account(
    redis_client: Redis, redis_url: str, sandbox: SandboxControl, tmp_path: Path
) -> None:
    accounts = AccountsFile(tmp_path / "accounts.toml", sandbox.url)
    accounts.write(right="sandbox", wrong="not-the-password")
    holds = Holds(redis_client)

    with both_processes(redis_url, accounts, tmp_path) as processes:
        web, worker = processes.web().wait_ready(), processes.worker().wait_ready()

        def take(account: str, order_id: str) -> Push:
            push = records.get(redis_client, PushKey(account, order_id))
            assert push
            return push

        def until_acknowledged(*wrong: str) -> float:
            """Push orders of the one account, then one of the other; how long did that one take?"""
            for order_id in wrong:
                assert push_to(web, "wrong", order_id) == HTTPStatus.OK
            order_id = sandbox.create_order()
            assert push_to(web, "right", order_id) == HTTPStatus.OK
            poll(lambda: take("right", order_id).state.is_settled, 60)
            push = take("right", order_id)
            assert (push.state, push.attempts) == (State.ACKNOWLEDGED, 1)
            assert push.acknowledged_at
            return (push.acknowledged_at - push.first_push_at).total_seconds()

        alone = [until_acknowledged() for _ in range(ROUNDS)]
        refused = sandbox.create_orders(count=ROUNDS * 3)
        beside = [until_acknowledged(*refused[round_::ROUNDS]) for round_ in range(ROUNDS)]
        assert median(beside) - median(alone) < UNNOTICED_S

        def is_all_held() -> bool:
            return all(take("wrong", order_id).state is State.HELD for order_id in refused)

        poll(is_all_held, 60)
        assert {take("wrong", order_id).reason for order_id in refused} == {HoldReason.CREDENTIALS}
        hold = holds.get("wrong")
        assert hold
        assert (hold.reason, holds.get("right")) == (HoldReason.CREDENTIALS, None)
        assert failed_for_good(redis_client) == []

        accounts.write(right="sandbox", wrong="sandbox")
        worker.signal(signal.SIGHUP)
        worker.wait_for_line(r"settings\.reloaded")

        def is_all_acknowledged() -> bool:
            return all(take("wrong", order_id).state is State.ACKNOWLEDGED for order_id in refused)

        poll(is_all_acknowledged, 90)
        assert holds.get("wrong") is None
        assert {take("wrong", order_id).failures for order_id in refused} == {0}
        assert failed_for_good(redis_client) == []
        for process in (web, worker):
            assert "not-the-password" not in process.log
