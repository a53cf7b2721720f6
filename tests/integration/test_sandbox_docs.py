"""The page of the sandbox, held against what it describes."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields

import pytest

from devtools.local.processes import ROOT
from sandbox.api.operations import OPERATIONS
from sandbox.control.routes import CALLS
from sandbox.faults.kinds import FAULTS
from sandbox.settings import SandboxSettings, assumptions, written
from tests.sandboxes import RunningSandbox, basic, running

_PAGE = (ROOT / "docs" / "sandbox.md").read_text("utf-8")
_COMMANDS = re.findall(r"^curl .*$", _PAGE, re.MULTILINE)


def rows(heading: str) -> list[list[str]]:
    """The cells of every table row under a heading."""
    section = _PAGE.split(f"{heading}\n", 1)[1].split("\n#", 1)[0]
    return [line[1:-1].split("|") for line in section.splitlines() if line.startswith("| `")]


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
    _, *arguments = shlex.split(command.replace("-i ", ""))
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
    called, literal = set(), {path for _, path in CALLS}
    for command in _COMMANDS:
        method = re.search(r"-X (\w+)", command)
        path = re.search(r"/_control/([\w.]+)(/[^?\s]+)?", command)
        if path:
            item = path[2] if f"{path[1]}{path[2]}" in literal else path[2] and "/{id}"
            called.add((method[1] if method else "GET", f"{path[1]}{item or ''}"))

    assert called == set(CALLS)


def test_it_lists_every_call() -> None:
    listed = re.findall(r"^\| `([A-Z]+) /_control/([^`]+)` \|", _PAGE, re.MULTILINE)

    assert (set(listed), len(listed)) == (set(CALLS), len(CALLS))


def test_it_lists_every_call_of_klarnas() -> None:
    listed = [
        (*row[0].strip(" `").partition(" /")[::2], row[1].strip(" `"), row[2].strip())
        for row in rows("## Klarna's side")
    ]

    assert listed == [
        (method, rest, operation.name, str(operation.success))
        for (method, rest), operation in OPERATIONS.items()
    ]


def test_it_lists_every_setting_with_its_default() -> None:
    listed = {name: row[1].strip() for row in rows("### Settings") for name in words(row[0])}

    first = SandboxSettings()
    defaults = {each.name: written(getattr(first, each.name)) for each in fields(first)}
    assert listed.pop("push_schedule_s") == "Klarna's"
    assert defaults.pop("push_schedule_s")
    assert listed == defaults


def test_it_lists_every_assumption() -> None:
    listed = [tuple(cell.strip(" `") for cell in row) for row in rows("### Settings")]

    assert [row for row in listed if len(row) > 3] == [
        (each.switch, each.default, each.others, each.what) for each in assumptions()
    ]


def test_it_lists_every_fault_with_its_parameters() -> None:
    listed = {name: words(row[2]) for row in rows("### Faults") for name in words(row[0])}

    assert listed == {name: set(kind.params) - {"effect"} for name, kind in FAULTS.items()}
