"""The terminal as operators and scripts run it: a process of its own, into a pipe or a screen."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from devtools.local.embedded import EmbeddedServer
from devtools.local.loopback import free_port
from devtools.local.processes import ROOT, Processes, poll
from pushes import life
from pushes.accounts.holds import Holds
from pushes.model import Change, Entry, HoldReason, Push, Reason, State
from pushes.store import keys
from pushes.store.ledger import Ledger
from tests.builders import NOW, an_order_id, put
from tests.integration.test_cli_support import acted_on, answer, dead, run, two_accounts
from worker.periodic.heartbeat import Heartbeat

_TIMEOUT_S = 60.0
_SCRIPT = str(Path(sys.executable).with_name("klarna-ack"))
_PROGRAMS = [[_SCRIPT], [sys.executable, "-m", "cli.main"]]


@pytest.fixture
def ledger(redis_client: "Redis") -> Ledger:
    return Ledger(redis_client)


def environment(redis_url: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "REDIS_URL": redis_url,
        "LOGNAME": "tester",
        "TERM": "xterm",
        "COLUMNS": "120",
    }


def call(
    redis_url: str, *arguments: str, program: list[str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*(program or [_SCRIPT]), *arguments],
        cwd=ROOT,
        env=environment(redis_url),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


@contextmanager
def on_terminal(
    redis_url: str, *arguments: str, columns: int = 120, lines: int = 24
) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Run it with a terminal as its stdout; the other end of that is yielded with it."""
    ours, its = pty.openpty()
    size = {"COLUMNS": str(columns), "LINES": str(lines)}
    with subprocess.Popen(
        [_SCRIPT, *arguments],
        cwd=ROOT,
        env=environment(redis_url) | size,
        stdin=subprocess.DEVNULL,
        stdout=its,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(its)
        try:
            yield process, ours
        finally:
            process.kill()
            os.close(ours)


def read_until(terminal: int, end: str | None = None) -> str:
    """Read what is shown until it contains `end`, or until the program has closed its terminal."""
    shown = b""
    while end is None or end.encode() not in shown:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux's way of saying that nobody writes any more
            break
        if not chunk:
            break
        shown += chunk
    return shown.decode()


@pytest.mark.parametrize("program", _PROGRAMS, ids=["script", "module"])
def test_it_answers_scripts(ledger: Ledger, redis_url: str, program: list[str]) -> None:
    key = dead(ledger)
    arguments = ("dead", "replay", key.order_id, "--why", "Klarna is back", "--json")
    done = call(redis_url, *arguments, program=program)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"items": [acted_on(key, "queued")], "refused": []}


def test_it_answers_scripts_in_json_whatever_is_logged(ledger: Ledger, redis_url: str) -> None:
    unreadable = dead(ledger)
    ledger.redis.hset(keys.record(unreadable), "rev", "many")
    listed = call(redis_url, "dead", "list", "--json")
    (item,) = json.loads(listed.stdout)["items"]
    assert (item["order_id"], item["reason"]) == (unreadable.order_id, "unreadable")
    replayed = call(redis_url, "dead", "replay", "--all", "--why", "it is ours", "--json")
    assert json.loads(replayed.stdout)["results"]["acted"] == 1
    assert "record.quarantined" in replayed.stderr


def test_it_says_the_same_to_a_pipe_as_in_the_tests(ledger: Ledger, redis_url: str) -> None:
    key = put(ledger, State.DEAD).key
    for arguments in (("show", key.order_id), ("dead", "list"), ("show", key.order_id, "--json")):
        done = call(redis_url, *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == run(redis_url, *arguments).stdout


def test_it_ends_with_its_exit_codes(redis_url: str) -> None:
    assert call(redis_url, "show", "x").returncode == 2
    assert call(redis_url, "show", "f" * 8 + "-1111-6222-a333-444455556666").returncode == 1
    assert call("http://redis", "status").returncode == 78
    assert call(redis_url, "-h").returncode == 0


def test_it_says_in_one_line_that_redis_is_away() -> None:
    done = call(f"redis://:secret@127.0.0.1:{free_port()}/0", "status", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: Redis does not answer (ConnectionError: ")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


def test_it_says_in_one_line_that_redis_refuses_the_password(redis_url: str) -> None:
    done = call(redis_url.replace("redis://:", "redis://:not-"), "status", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "Error: Redis refuses the user name or password (AuthenticationError: invalid"
        " username-password pair or user is disabled): nothing was changed, and accepted pushes are"
        " safe in Redis. Correct them in REDIS_URL, and restart. Then run this again.\n"
    )


def test_it_draws_tables_and_panels_on_a_terminal(ledger: Ledger, redis_url: str) -> None:
    key = dead(ledger, error="an error with [bold]markup[/bold]")
    with on_terminal(redis_url, "show", key.order_id) as (process, terminal):
        shown = read_until(terminal)
        assert process.wait(_TIMEOUT_S) == 0
    assert f" Order {key.order_id} ─" in shown
    assert "an error with [bold]markup[/bold]" in shown
    with on_terminal(redis_url, "dead", "list", columns=160) as (process, terminal):
        shown = read_until(terminal)
        assert process.wait(_TIMEOUT_S) == 0
    assert f" {key.order_id} " in shown
    assert "─────" in shown


CORRELATION_ID = "581365f3-1f82-41a0-aa62-71aebb8d28cb"


def as_read(shown: str) -> str:
    """What somebody reads: without what moves the cursor and colours the text."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [80, 120])
def test_it_breaks_no_identifier_on_a_terminal(
    ledger: Ledger, redis_url: str, columns: int
) -> None:
    key = put(ledger, State.RUNNING).key
    error = f"HTTP 404 NO_SUCH_ORDER Order {key.order_id} cannot be found."
    call = Entry(NOW, "call", "get_order", 404, 41, "NO_SUCH_ORDER", CORRELATION_ID, error[23:])

    def fail(push: Push) -> Change:
        return life.reported(life.dead(push, Reason.NO_SUCH_ORDER, NOW, error), (call,), None, NOW)

    assert ledger.advance(key, fail)
    held = put(ledger, State.HELD).key
    worker = Heartbeat(ledger.redis, ledger.rq)
    worker.hostname = f"klarna-ack-worker-{'7' * 20}"
    worker.register_birth()  # type: ignore[no-untyped-call]  # RQ gives it no types
    worker.beat(active=0, done=0)
    (shown_of_it,) = answer(run(redis_url, "workers", "--json"))["items"]
    for arguments, wanted in {
        ("show", key.order_id): [key.order_id, CORRELATION_ID, "no_such_order", error[:22]],
        ("dead", "list"): [key.order_id, "no_such_order", "HTTP 404"],
        ("list", "--state", "held"): [held.order_id, "credentials", "HTTP 401"],
        ("find", "state:held"): [held.order_id, "held"],
        ("workers",): [worker.hostname, shown_of_it["started_at"], shown_of_it["settings_read_at"]],
    }.items():
        with on_terminal(redis_url, *arguments, columns=columns) as (process, terminal):
            shown = as_read(read_until(terminal))
            assert process.wait(_TIMEOUT_S) == 0
        assert [word for word in wanted if word not in shown] == []
        assert [line for line in shown.splitlines() if len(line) > columns] == []
        assert shown.count("cannot be found") <= 1


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("klarna-ack show --account e", ["eu"]),
        ("klarna-ack pause ", ["eu", "us"]),
        ("klarna-ack list --state de", ["dead"]),
        ("klarna-ack dead dis", ["discard"]),
    ],
)
def test_it_completes_commands_and_accounts(
    tmp_path: Path, words: str, completed: list[str]
) -> None:
    done = subprocess.run(
        [_SCRIPT],
        env={
            "PATH": os.environ["PATH"],
            "ACCOUNTS_FILE": two_accounts(tmp_path),
            "_KLARNA_ACK_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [f"plain,{word}" for word in completed]


def test_it_shows_what_failed_in_colour(redis_url: str) -> None:
    with on_terminal(redis_url, "doctor") as (process, terminal):
        shown = read_until(terminal)
        assert process.wait(_TIMEOUT_S) == 1
    assert "\x1b[1;31mfailed" in shown
    assert "\x1b[32mok" in shown


def test_it_draws_a_bar_on_a_terminal_while_it_does_many(redis_url: str, tmp_path: Path) -> None:
    file = tmp_path / "ids.txt"
    file.write_text("".join(f"{an_order_id()}\n" for _ in range(1000)))
    ours, its = pty.openpty()
    arguments = (_SCRIPT, "push", "--file", str(file))
    with subprocess.Popen(
        arguments, env=environment(redis_url), stdout=subprocess.PIPE, stderr=its, text=True
    ) as process:
        os.close(its)
        shown = read_until(ours)
        assert process.stdout is not None
        assert process.stdout.read() == "1,000 queued.\n"
        assert process.wait(_TIMEOUT_S) == 0
    os.close(ours)
    assert "Queued  [" in shown
    assert "1000/1000" in shown


def test_it_counts_a_worker_of_ours_until_it_has_stopped(
    processes: Processes, redis_url: str
) -> None:
    def alive() -> int:
        count: int = answer(run(redis_url, "status", "--json"))["workers"]
        return count

    worker = processes.worker().wait_ready()
    poll(lambda: alive() == 1, 20)  # its first heartbeat comes when it is ready, or just after
    worker.terminate()
    assert alive() == 0


@pytest.mark.parametrize("program", _PROGRAMS, ids=["script", "module"])
def test_it_watches_until_ctrl_c(redis_url: str, program: list[str]) -> None:
    with subprocess.Popen(
        [*program, "status", "--watch", "--json"],
        cwd=ROOT,
        env=environment(redis_url),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = json.loads(process.stdout.readline())
        second = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(_TIMEOUT_S) == 0
        assert (process.stdout.read(), process.stderr.read()) == ("", "")
    looks = [first, second, answer(run(redis_url, "status", "--json"))]
    assert [look.pop("read_at") for look in looks] != [None, None, None]
    assert looks[0] == looks[1] == looks[2]


@pytest.mark.parametrize("columns", [80, 120])
def test_it_redraws_the_whole_screen_until_ctrl_c(
    ledger: Ledger, redis_url: str, columns: int
) -> None:
    put(ledger, State.HELD)
    Holds(ledger.redis).begin("default", HoldReason.CREDENTIALS, "Klarna says 401.")
    arguments = ("status", "--watch")
    with on_terminal(redis_url, *arguments, columns=columns) as (process, terminal):
        shown = read_until(terminal, "Klarna says 401.")
        process.send_signal(signal.SIGINT)
        assert process.wait(_TIMEOUT_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
        last = read_until(terminal)
    assert shown.startswith("\x1b[?1049h")  # a screen of its own
    assert last.endswith("\x1b[?25h\x1b[?1049l")  # the cursor and what was there are back
    lines = as_read(shown).splitlines()
    assert re.search(
        r"klarna-ack status, read 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z *$", lines[0]
    )
    assert lines[1].startswith("No worker is alive, so nothing is acknowledged")
    assert max(map(len, lines)) <= columns
    account = answer(run(redis_url, "status", "--json"))["accounts"]["default"]
    whole = ["default", "credentials", account["since"], account["probe_at"], "not_needed"]
    assert [word for word in whole if not any(word in line for line in lines)] == []


def test_it_says_what_does_not_fit_on_the_screen(redis_url: str) -> None:
    with on_terminal(redis_url, "status", "--watch", columns=80, lines=8) as (process, terminal):
        read_until(terminal, "more lines: `klarna-ack status` has them all")
        process.send_signal(signal.SIGINT)
        assert process.wait(_TIMEOUT_S) == 0


def test_it_shows_the_loss_of_redis_alone_and_then_what_it_reads_again(
    redis_url: str, valkey: EmbeddedServer
) -> None:
    with on_terminal(redis_url, "status", "--watch", columns=80) as (process, terminal):
        read_until(terminal, "No worker is alive")
        valkey.kill()
        shown = read_until(terminal, "Klarna sends them")
        _, _, screen = as_read(shown).rpartition("klarna-ack status, ")
        assert screen.startswith("not read since 20")
        assert "Redis does not answer (ConnectionError: " in screen
        assert "waiting for it to come back." in " ".join(screen.split())
        assert "acknowledged" not in screen
        valkey.restart()
        shown = read_until(terminal, "No worker is alive")
        assert "klarna-ack status, read 20" in shown
        process.send_signal(signal.SIGINT)
        assert process.wait(_TIMEOUT_S) == 0
