"""The README of the sandbox, held against what it describes."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from sandbox.control.routes import CALLS
from sandbox.faults.kinds import FAULTS
from sandbox.settings import SandboxSettings
from tests.integration.test_sandbox_process import RunningSandbox, basic, running

_README = (Path(__file__).parent.parent.parent / "sandbox" / "README.md").read_text("utf-8")
_COMMANDS = re.findall(r"^curl .*$", _README, re.MULTILINE)


def rows(heading: str) -> list[list[str]]:
    """The cells of every table row under a heading."""
    section = _README.split(f"{heading}\n", 1)[1].split("\n#", 1)[0]
    return [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]


def words(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


@pytest.fixture(scope="module")
def klarna() -> Iterator[RunningSandbox]:
    yield from running()


def run(klarna: RunningSandbox, command: str) -> int:
    """Do what curl would do; gives the status."""
    command = command.replace("$ORDER", "7849fd84-47dc-2919-a7ce-47b9f461562f")
    method, path, body = "GET", "", None
    headers: dict[str, str] = {}
    _, *arguments = shlex.split(command)
    while arguments:
        match arguments:
            case ["-X", method, *arguments]:
                pass
            case ["-d", data, *arguments]:
                body = data.encode()
            case ["-u", credentials, *arguments]:
                headers |= basic(*credentials.split(":"))
            case ["-H", header, *arguments]:
                name, value = header.split(": ")
                headers[name] = value
            case [url, *arguments]:
                path = url.removeprefix("$SANDBOX")
    return klarna.ask(method, path, body, headers).status


def test_it_can_be_copied_line_by_line(klarna: RunningSandbox) -> None:
    answered = {command: run(klarna, command) for command in _COMMANDS}

    assert {command: status for command, status in answered.items() if status >= 400} == {}


def test_it_uses_every_call() -> None:
    called = set()
    for command in _COMMANDS:
        method = re.search(r"-X (\w+)", command)
        path = re.search(r"/_control/(\w+)(/[^?\s]+)?", command)
        if path:
            called.add((method[1] if method else "GET", path[1] + ("/{id}" if path[2] else "")))

    assert called == set(CALLS)


def test_it_lists_every_call() -> None:
    listed = re.findall(r"^\| `([A-Z]+) /_control/([^`]+)` \|", _README, re.MULTILINE)

    assert (set(listed), len(listed)) == (set(CALLS), len(CALLS))


def test_it_lists_every_setting_with_its_default() -> None:
    listed = {name: row[1].strip() for row in rows("### Settings") for name in words(row[0])}

    defaults = {
        each.name: getattr(SandboxSettings(), each.name) for each in fields(SandboxSettings)
    }
    written = {True: "true", False: "false", None: "null"}
    assert listed.pop("push_schedule_s") == "Klarna's"
    assert defaults.pop("push_schedule_s")
    assert listed == {
        name: written.get(value, str(value)) if value != 0 else "0"
        for name, value in defaults.items()
    }


def test_it_lists_every_fault_with_its_parameters() -> None:
    listed = {name: words(row[2]) for row in rows("### Faults") for name in words(row[0])}

    assert listed == {name: set(kind.params) - {"effect"} for name, kind in FAULTS.items()}
