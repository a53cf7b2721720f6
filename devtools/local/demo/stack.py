"""What runs under `klarna-ack dev`: started one after the other, until all of it answers."""

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from devtools.local.embedded import EmbeddedServer
from devtools.local.loopback import free_port
from devtools.local.processes import LoggedProcess, Processes, Web
from devtools.local.sandbox_control import SandboxControl

_TICK_S = 0.05
_USUAL_PORT = 8000

# Where this shell's production settings must not reach, and proxies that loopback does not need.
_NOT_HANDED_ON = re.compile(
    r"(klarna|redis)_.*|accounts_file|push_token.*|.*_proxy"
    r"|gunicorn_cmd_args|bind|proxy_hops|web_concurrency",
    re.IGNORECASE,
)


@dataclass
class Stack:
    """What runs; `settings` are those of the web process and the worker."""

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
        processes.worker(**settings)
        web = processes.web(**settings, PORT=str(free_port(preferred=_USUAL_PORT)))
        stack = Stack(processes, sandbox, web, settings, logs, verbose)
        _wait_until_ready(stack)
        sandbox.pusher(web.push_url + "{checkout.order.id}")
        yield stack


def _wait_until_ready(stack: Stack) -> None:
    def is_ready() -> bool:
        stack.tick()
        return stack.web.is_ready()

    stack.web.wait_until(is_ready)


def _inherited() -> dict[str, str]:
    """Return what of this shell's environment is handed on to every process."""
    kept = {name: value for name, value in os.environ.items() if not _NOT_HANDED_ON.fullmatch(name)}
    return {"LOG_FORMAT": "console" if sys.stdout.isatty() else "json"} | kept
