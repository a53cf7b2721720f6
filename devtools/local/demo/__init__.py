"""`klarna-ack dev`: Valkey, a stand-in for Klarna, the web and the worker process, on this machine.

Everything it starts listens on loopback, forgets everything at the end, and ends with it, even by
`kill -9`. It never talks to the real Klarna: settings of the shell that could lead there are not
handed on.
"""

import shlex
import signal
import time
from typing import NoReturn

import click

from devtools.local.demo.scene import OpeningScene, make_link
from devtools.local.demo.stack import Stack, running_stack
from devtools.local.demo.watch import OrderWatch
from devtools.local.processes import ProcessError
from devtools.local.sandbox_control import SandboxError
from devtools.local.server_binary import EmbeddedServerError

_ONCE_TIMEOUT_S = 60.0
_ONCE_ORDERS = 3
_FIRST_ORDERS = 3
_ORDER_EVERY_S = 5.0  # Often enough to see something happen, seldom enough to read it.


def run(*, once: bool, verbose: bool = False) -> int:
    """Run until ctrl-c or SIGTERM (exit code 0), or until something ends by itself (1).

    With `once`: push three orders; 0 when the sandbox says that all are acknowledged, else 1.
    """
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with running_stack(verbose=verbose) as stack:
            if once:
                return _push_once(stack)
            _push_for_ever(stack)
    except KeyboardInterrupt:
        return 0
    except (ProcessError, SandboxError, EmbeddedServerError) as error:
        click.echo(f"klarna-ack dev: {error}", err=True)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)


def _push_once(stack: Stack) -> int:
    watch = OrderWatch(stack)
    watch.push(_ONCE_ORDERS)
    deadline = time.monotonic() + _ONCE_TIMEOUT_S
    while watch.waiting and time.monotonic() < deadline:
        stack.tick()
        watch.look()
    if not watch.waiting:
        return 0
    click.echo(f"not acknowledged within {_ONCE_TIMEOUT_S:.0f} s:", err=True)
    for order_id in watch.waiting:
        click.echo(f"  {order_id}: {stack.sandbox.order(order_id)}", err=True)
    click.echo(stack.last_lines(), err=True)
    return 1


def _push_for_ever(stack: Stack) -> NoReturn:
    _greet(stack)
    watch = OrderWatch(stack)
    watch.push(_FIRST_ORDERS)
    watch.push_forged()
    opening = OpeningScene(stack)
    opening.set_up()
    next_order_at = time.monotonic() + _ORDER_EVERY_S
    while True:
        stack.tick()
        watch.look()
        watch.look_at_forged()
        opening.go_on()
        if time.monotonic() > next_order_at:
            watch.push(1)
            next_order_at += _ORDER_EVERY_S


def _greet(stack: Stack) -> None:
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in stack.settings.items())
    click.echo(f"console        {make_link(stack)}")
    click.echo("               (the link signs you in once, within 15 minutes)")
    click.echo(f"push URL       {stack.web.push_url}<order id>")
    click.echo(f"web health     {stack.web.url}/readyz")
    click.echo(f"sandbox        {stack.sandbox.url}/_control/orders")
    click.echo(f"logs           {stack.logs} (here with --verbose)")
    click.echo("In another terminal, for `klarna-ack status`:")
    click.echo(f"  export {exports}")
    click.echo("Ctrl-c ends it all. A new order every few seconds:")


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
