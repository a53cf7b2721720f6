"""What runs under `klarna-ack dev`: started one after the other, until all of it answers."""

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import click

from devtools.local.embedded import EmbeddedServer
from devtools.local.loopback import free_port
from devtools.local.processes import LoggedProcess, Processes, Web
from devtools.local.sandbox_control import SandboxControl
from pushes.accounts.settings import DEFAULT_ACCOUNT

_TICK_S = 0.05
_USUAL_PORT = 8000

# Where this shell's production settings must not reach, and proxies that loopback does not need.
_NOT_HANDED_ON = re.compile(
    r"(klarna|redis)_.*|accounts_file|push_token.*|.*_proxy"
    r"|gunicorn_cmd_args|bind|proxy_hops|web_concurrency",
    re.IGNORECASE,
)


class AccountName(StrEnum):
    """The accounts of the demo, by how each fares. One is served, and is meant when none is named.

    The password of one is wrong; of one the quota is a request a second.
    """

    SERVED = DEFAULT_ACCOUNT
    REFUSED = "norway"
    PAUSED = "denmark"
    LIMITED = "finland"


@dataclass
class Stack:
    """What runs; `settings` are those of a terminal beside it, which knows the served account."""

    processes: Processes
    sandbox: SandboxControl
    web: Web
    settings: dict[str, str]
    logs: Path
    verbose: bool
    _shown_bytes: dict[Path, int] = field(default_factory=dict)

    def tick(self) -> None:
        """Wait a moment. Raises ProcessError when one of the processes has ended meanwhile."""
        time.sleep(_TICK_S)
        if self.verbose:
            for process in self.processes.started:
                self._show_new_lines(process)
        self.processes.check()

    def push_url_of(self, account: AccountName) -> str:
        """Return what would be given to Klarna for an account, with its placeholder."""
        return f"{self.web.url}/push/{account}?klarna_order_id={{checkout.order.id}}"

    def last_lines(self) -> str:
        """Return the last lines of every process: the files themselves are removed."""
        return "\n".join(process.last_lines() for process in self.processes.started)

    def _show_new_lines(self, process: LoggedProcess) -> None:
        """Print what a process has logged since the last time, each line under its name."""
        shown = self._shown_bytes.get(process.log_file, 0)
        with process.log_file.open("rb") as file:
            file.seek(shown)
            complete, newline, _ = file.read().rpartition(b"\n")
        self._shown_bytes[process.log_file] = shown + len(complete) + len(newline)
        for line in complete.decode(errors="replace").splitlines():
            click.echo(f"{process.name:8}| {line}")


@contextmanager
def running_stack(*, verbose: bool) -> Iterator[Stack]:
    """Run everything while the block lasts. Raises ProcessError or EmbeddedServerError."""
    with ExitStack() as opened:
        logs = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="klarna-ack-dev-")))
        redis_url = opened.enter_context(EmbeddedServer()).url
        processes = Processes(_inherited(), logs)
        opened.callback(processes.terminate_all)
        sandbox = opened.enter_context(closing(processes.sandbox().wait_ready()))
        settings = {
            "REDIS_URL": redis_url,
            "KLARNA_API_URL": sandbox.url,
            "KLARNA_USERNAME": "sandbox",
            "KLARNA_PASSWORD": "sandbox",
        }
        accounts = logs / "accounts.toml"
        accounts.write_text(_accounts(sandbox.url))
        served = {"REDIS_URL": redis_url, "ACCOUNTS_FILE": str(accounts)}
        processes.worker(**served)
        web = processes.web(**served, PORT=str(free_port(preferred=_USUAL_PORT)))
        stack = Stack(processes, sandbox, web, settings, logs, verbose)
        _wait_until_ready(stack)
        sandbox.pusher(web.push_url + "{checkout.order.id}")
        yield stack


def _accounts(api_url: str) -> str:
    """Return the text of ACCOUNTS_FILE."""
    tables = dict.fromkeys(AccountName, f'api_url = "{api_url}"\nusername = "sandbox"\n')
    for name, table in tables.items():
        password = "mistyped" if name is AccountName.REFUSED else "sandbox"
        tables[name] = f'[accounts.{name}]\n{table}password = "{password}"\n'
    tables[AccountName.LIMITED] += "rate_per_s = 1\n"
    return "\n".join(tables.values())


def _wait_until_ready(stack: Stack) -> None:
    def is_ready() -> bool:
        stack.tick()
        return stack.web.is_ready()

    stack.web.wait_until(is_ready)


def _inherited() -> dict[str, str]:
    """Return what of this shell's environment is handed on to every process."""
    kept = {name: value for name, value in os.environ.items() if not _NOT_HANDED_ON.fullmatch(name)}
    return {"LOG_FORMAT": "console" if sys.stdout.isatty() else "json"} | kept
