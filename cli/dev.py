"""`klarna-ack dev`: Valkey, a stand-in for Klarna, the web and the worker process, on this machine.

Everything it starts listens on loopback, forgets everything at the end, and ends with it, even by
`kill -9`. It never talks to the real Klarna: settings of the shell that could lead there are not
handed on.
"""

import os
import re
import shlex
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import click
import requests

from cli.embedded import EmbeddedServer, EmbeddedServerError, free_port
from cli.supervised import Supervised

_READY_TIMEOUT_S = 30.0
_ONCE_TIMEOUT_S = 60.0
_ONCE_ORDERS = 3
_FIRST_ORDERS = 3
_ORDER_EVERY_S = 5.0  # Often enough to see something happen, seldom enough to read it.
_TICK_S = 0.05
_LAST_LINES = 20
_CALL_TIMEOUT_S = 10
_GRACE_S = 15.0
# Where this shell's production settings must not reach, and proxies that loopback does not need.
_NOT_HANDED_ON = re.compile(
    r"(klarna|redis)_.*|accounts_file|push_token.*|gunicorn_cmd_args|.*_proxy", re.IGNORECASE
)
_LISTENING = re.compile(r"^sandbox listening url=(\S+)$", re.MULTILINE)


class DevError(Exception):
    """Something did not start, or ended; the message says what, and shows its last words."""


@dataclass
class Child:
    """A process of ours and the file it logs to."""

    name: str
    process: Supervised
    log: Path
    _shown_bytes: int = field(default=0, init=False)

    def check(self) -> None:
        """Raise DevError when it has ended: none of them ever should."""
        if (code := self.process.exit_code) is not None:
            raise DevError(f"{self.name} ended with exit code {code}\n{self.last_lines()}")

    def last_lines(self) -> str:
        """Return the end of its log, under a line with its name: the file itself is removed."""
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join([f"==> {self.name} <==", *lines])

    def show_new_lines(self) -> None:
        """Print what it has logged since the last time, each line under its name."""
        with self.log.open("rb") as file:
            file.seek(self._shown_bytes)
            complete, newline, _ = file.read().rpartition(b"\n")
        self._shown_bytes += len(complete) + len(newline)
        for line in complete.decode(errors="replace").splitlines():
            click.echo(f"{self.name:8}| {line}")


@dataclass
class Stack:
    """What runs; `env` is the environment of web and worker."""

    children: list[Child]
    env: Mapping[str, str]
    web_url: str
    sandbox_url: str
    verbose: bool

    @property
    def push_url(self) -> str:
        """What a merchant would give to Klarna, the order id's place at its end."""
        return f"{self.web_url}/push?klarna_order_id="

    def tick(self) -> None:
        """Wait a moment; raises DevError when one of the processes has ended meanwhile."""
        time.sleep(_TICK_S)
        for child in self.children:
            if self.verbose:
                child.show_new_lines()
            child.check()

    def control(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Call the sandbox's control side."""
        return _call(method, f"{self.sandbox_url}/_control/{path}", body).json()

    def logs(self) -> str:
        """Return the last lines of every process."""
        return "\n".join(child.last_lines() for child in self.children)


@dataclass
class Watch:
    """Tells of each order once when it was pushed and once when it was acknowledged."""

    stack: Stack
    waiting: dict[str, bool] = field(default_factory=dict)  # order id → its push was shown
    forged_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    _forged_attempts: int = 0

    def push(self, count: int) -> None:
        """Create orders at the sandbox, which pushes them as Klarna would."""
        answer = self.stack.control("POST", "orders", {"push": True, "count": count})
        self.waiting |= dict.fromkeys(answer["order_ids"], False)

    def push_forged(self) -> None:
        """Push an order that Klarna does not have, as anybody on the internet could."""
        _call("POST", self.stack.push_url + self.forged_id)
        click.echo(f"{self.forged_id}  pushed by a forger: Klarna does not know this order")

    def look(self) -> None:
        """Print what has become of the orders since the last look."""
        for order_id, push_was_shown in list(self.waiting.items()):
            order = self.stack.control("GET", f"orders/{order_id}")
            if order["pushes"] and not push_was_shown:
                push = order["pushes"][0]
                click.echo(f"{order_id}  pushed: answered {push['status']} in {push['ms']:.0f} ms")
                self.waiting[order_id] = True
            if order["pushes"] and order["acknowledged"]:
                pushed_at, acknowledged_at = order["pushes"][0]["at"], order["acknowledged_at"]
                ms = (_at(acknowledged_at) - _at(pushed_at)) / timedelta(milliseconds=1)
                click.echo(f"{order_id}  acknowledged {ms:.0f} ms after its push")
                del self.waiting[order_id]

    def look_at_forged(self) -> None:
        """Print each new attempt at the forged order."""
        calls = self.stack.control("GET", f"requests?order_id={self.forged_id}")
        for attempt, call in enumerate(calls[self._forged_attempts :], self._forged_attempts + 1):
            click.echo(
                f"{self.forged_id}  attempt {attempt}: Klarna answered {call['status']}, so it is"
                " not acknowledged; it is tried again later, in case Klarna is late"
            )
        self._forged_attempts = len(calls)


def run(*, once: bool, verbose: bool = False) -> int:
    """Run until ctrl-c or SIGTERM (exit code 0), or until something ends by itself (1).

    With `once`: push three orders; 0 when the sandbox says that all are acknowledged, else 1.
    """
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with _running_stack(verbose=verbose) as stack:
            if once:
                return _push_once(stack)
            _push_for_ever(stack)
    except KeyboardInterrupt:
        return 0
    except (DevError, EmbeddedServerError) as error:
        click.echo(f"klarna-ack dev: {error}", err=True)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)


def _push_once(stack: Stack) -> int:
    watch = Watch(stack)
    watch.push(_ONCE_ORDERS)
    deadline = time.monotonic() + _ONCE_TIMEOUT_S
    while watch.waiting and time.monotonic() < deadline:
        stack.tick()
        watch.look()
    if not watch.waiting:
        return 0
    click.echo(f"not acknowledged within {_ONCE_TIMEOUT_S:.0f} s:", err=True)
    for order_id in watch.waiting:
        click.echo(f"  {order_id}: {stack.control('GET', f'orders/{order_id}')}", err=True)
    click.echo(stack.logs(), err=True)
    return 1


def _push_for_ever(stack: Stack) -> NoReturn:
    _greet(stack)
    watch = Watch(stack)
    watch.push(_FIRST_ORDERS)
    watch.push_forged()
    next_order_at = time.monotonic() + _ORDER_EVERY_S
    while True:
        stack.tick()
        watch.look()
        watch.look_at_forged()
        if time.monotonic() > next_order_at:
            watch.push(1)
            next_order_at += _ORDER_EVERY_S


def _greet(stack: Stack) -> None:
    names = ("REDIS_URL", "KLARNA_API_URL", "KLARNA_USERNAME", "KLARNA_PASSWORD")
    exports = " ".join(f"{name}={shlex.quote(stack.env[name])}" for name in names)
    click.echo(f"push URL       {stack.push_url}<order id>")
    click.echo(f"web health     {stack.web_url}/readyz")
    click.echo(f"sandbox        {stack.sandbox_url}/_control/orders")
    click.echo(f"logs           {stack.children[0].log.parent} (here with --verbose)")
    click.echo("In another terminal, for `klarna-ack status`:")
    click.echo(f"  export {exports}")
    click.echo("Ctrl-c ends it all. A new order every few seconds:")


@contextmanager
def _running_stack(*, verbose: bool) -> Iterator[Stack]:
    root = _checkout()
    commands = procfile(root)
    with ExitStack() as opened:
        logs = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="klarna-ack-dev-")))
        children: list[Child] = []

        def start(name: str, command: list[str], env: Mapping[str, str]) -> Child:
            log = logs / f"{name}.log"
            with log.open("wb") as file:
                process = Supervised(command, log=file, env=env, cwd=root, grace_s=_GRACE_S)
            children.append(Child(name, opened.enter_context(process), log))
            return children[-1]

        redis_url = opened.enter_context(EmbeddedServer()).url
        env = _inherited_environment()
        sandbox = start("sandbox", [sys.executable, "-m", "sandbox", "--port", "0"], env)
        sandbox_url = _sandbox_url(sandbox)
        port = free_port(preferred=8000)
        env |= _settings(redis_url, sandbox_url, port)
        start("worker", commands["worker"], env)
        start("web", commands["web"], env)
        stack = Stack(children, env, f"http://127.0.0.1:{port}", sandbox_url, verbose)
        _wait_until_ready(stack)
        stack.control("PUT", "pusher", {"url": stack.push_url + "{checkout.order.id}"})
        yield stack


def procfile(root: Path) -> dict[str, list[str]]:
    """Read the Procfile's commands by process name, as a shell would split them."""
    lines = (line.partition(":") for line in (root / "Procfile").read_text().splitlines())
    return {name: shlex.split(command) for name, _, command in lines}


def _checkout() -> Path:
    root = Path(__file__).parent.parent
    if not (root / "Procfile").is_file() or not (root / "sandbox" / "__main__.py").is_file():
        raise DevError(
            "runs in a checkout only, since the sandbox is not shipped with the package:"
            " clone the repository and run `make demo` there"
        )
    return root


def _inherited_environment() -> dict[str, str]:
    bin_directory = Path(sys.executable).parent  # Not resolved: a venv's python is a link.
    path = f"{bin_directory}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    kept = {name: value for name, value in os.environ.items() if not _NOT_HANDED_ON.fullmatch(name)}
    return {"LOG_FORMAT": "console" if sys.stdout.isatty() else "json"} | kept | {"PATH": path}


def _settings(redis_url: str, sandbox_url: str, port: int) -> dict[str, str]:
    return {
        "REDIS_URL": redis_url,
        "KLARNA_API_URL": sandbox_url,
        "KLARNA_USERNAME": "sandbox",
        "KLARNA_PASSWORD": "sandbox",
        "PORT": str(port),
        # deploy/gunicorn.conf.py listens everywhere; a developer's machine has no need to.
        "GUNICORN_CMD_ARGS": f"--bind=127.0.0.1:{port}",
    }


def _sandbox_url(sandbox: Child) -> str:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if line := _LISTENING.search(sandbox.log.read_text()):
            return line[1]
        sandbox.check()
        time.sleep(_TICK_S)
    raise DevError(f"the sandbox does not listen\n{sandbox.last_lines()}")


def _wait_until_ready(stack: Stack) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    last: object = None
    while time.monotonic() < deadline:
        try:
            _call("GET", f"{stack.web_url}/readyz")
        except requests.RequestException as error:
            last = error
        else:
            return
        stack.tick()
    raise DevError(f"the web process is not ready ({last})\n{stack.logs()}")


def _call(method: str, url: str, body: object = None) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False  # No proxy stands between us and loopback.
        answer = session.request(method, url, json=body, timeout=_CALL_TIMEOUT_S)
    answer.raise_for_status()
    return answer


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
