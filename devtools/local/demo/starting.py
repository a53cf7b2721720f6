"""Starts what `klarna-ack dev` runs, one after the other, and waits until all of it answers."""

import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests

from devtools.local.demo import environment
from devtools.local.demo.child import Child, DevError
from devtools.local.demo.stack import TICK_S, Stack, call
from devtools.local.embedded import EmbeddedServer
from devtools.local.ports import free_port
from devtools.local.procfile import procfile
from devtools.local.supervised import Supervised

_READY_TIMEOUT_S = 30.0
_GRACE_S = 15.0
_LISTENING = re.compile(r"^sandbox listening url=(\S+)$", re.MULTILINE)


@contextmanager
def running_stack(*, verbose: bool) -> Iterator[Stack]:
    """Run everything while the block lasts. Raises DevError or EmbeddedServerError."""
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
        env = environment.inherited()
        sandbox = start("sandbox", [sys.executable, "-m", "sandbox", "--port", "0"], env)
        sandbox_url = _sandbox_url(sandbox)
        port = free_port(preferred=8000)
        env |= environment.settings(redis_url, sandbox_url, port)
        start("worker", commands["worker"], env)
        start("web", commands["web"], env)
        stack = Stack(children, env, f"http://127.0.0.1:{port}", sandbox_url, verbose)
        _wait_until_ready(stack)
        stack.control("PUT", "pusher", {"url": stack.push_url + "{checkout.order.id}"})
        yield stack


def _checkout() -> Path:
    root = Path(__file__).parents[3]
    if not (root / "Procfile").is_file() or not (root / "sandbox" / "__main__.py").is_file():
        raise DevError(
            "runs in a checkout only, since the sandbox is not shipped with the package:"
            " clone the repository and run `make demo` there"
        )
    return root


def _sandbox_url(sandbox: Child) -> str:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if line := _LISTENING.search(sandbox.log.read_text()):
            return line[1]
        sandbox.check()
        time.sleep(TICK_S)
    raise DevError(f"the sandbox does not listen\n{sandbox.last_lines()}")


def _wait_until_ready(stack: Stack) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    last: object = None
    while time.monotonic() < deadline:
        try:
            call("GET", f"{stack.web_url}/readyz")
        except requests.RequestException as error:
            last = error
        else:
            return
        stack.tick()
    raise DevError(f"the web process is not ready ({last})\n{stack.logs()}")
