"""The sandbox as a process: started, asked, stopped."""

import signal
import socket
import subprocess
import sys
import time

import pytest

from devtools.local.processes import ROOT
from sandbox.settings import assumptions
from tests.sandboxes import RunningSandbox, basic, running, wait_for

_TIMEOUT_S = 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_ends_well(number: signal.Signals) -> None:
    sandbox = RunningSandbox()

    health = sandbox.control("GET", "healthz")
    exit_code = sandbox.stop(number)

    assert sandbox.line == f"sandbox listening url=http://127.0.0.1:{sandbox.address[1]}\n"
    assert (health, exit_code) == ({"status": "ok"}, 0)


def test_it_ends_at_once_with_clients_on_hold() -> None:
    sandbox = RunningSandbox()
    order_id = sandbox.new_order()
    fault = {"fault": "timeout_before_effect", "params": {"hold_s": 600}}
    sandbox.control("POST", "faults", fault, status=201)

    with sandbox.raw(order_id):
        wait_for(lambda: sandbox.control("GET", "requests"))
        began = time.monotonic()
        exit_code = sandbox.stop()

    assert exit_code == 0
    assert time.monotonic() - began < 5


def test_it_takes_credentials_as_arguments() -> None:
    for sandbox in running("--username", "me", "--password", "s:ecret"):
        path = f"/ordermanagement/v1/orders/{sandbox.new_order()}"

        assert sandbox.ask("GET", path, headers=basic("me", "s:ecret")).status == 200
        assert sandbox.ask("GET", path).status == 401


def test_it_checks_no_credentials_when_told_so() -> None:
    for sandbox in running("--no-auth-check"):
        path = f"/ordermanagement/v1/orders/{sandbox.new_order()}"

        assert sandbox.ask("GET", path, headers={}).status == 200


def test_it_says_why_it_cannot_listen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "sandbox", "--port", port]
        ended = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )

    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"sandbox.cannot_listen port={port}" in ended.stderr


def test_it_lists_what_is_assumed_of_klarna() -> None:
    command = [sys.executable, "-m", "sandbox", "--assumptions"]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
    )

    head, *rows = ended.stdout.splitlines()
    assert head.split() == ["SWITCH", "DEFAULT", "OR", "ASSUMED", "OF", "KLARNA"]
    assert [row.split()[:2] for row in rows] == [
        [each.switch, each.default] for each in assumptions()
    ]
    assert rows[0].endswith("The answer to a second acknowledge")


def test_it_says_which_package_it_lacks() -> None:
    lacking = (
        "import sys, runpy; sys.modules['httptools'] = None; "
        "runpy.run_module('sandbox', run_name='__main__')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", lacking],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "The sandbox needs the package httptools, which is not installed: "
        "pip install 'klarna-ack[sandbox]'\n"
    )
