import json
import subprocess
import sys
from typing import Any

import pytest

from devtools.local.processes import ROOT

PROLOGUE = """
import logging, os, sys
from pushes import log

class Unprintable:
    def __repr__(self):
        raise RuntimeError

log.configure("info", "json")
mine = log.get("mine")
"""


def logged(script: str) -> list[dict[str, Any]]:
    """What a process that runs the script has logged when it has ended."""
    return [json.loads(line) for line in written(script).splitlines()]


def written(script: str, form: str = "json") -> str:
    return run(PROLOGUE.replace("json", form) + script)


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


def test_what_is_logged_is_written_before_the_process_ends() -> None:
    lines = logged("for number in range(100): mine.info('some.event', number=number)")

    assert [(line["event"], line["number"]) for line in lines] == [
        ("some.event", number) for number in range(100)
    ]
    assert lines[0].keys() == {"event", "number", "module", "level", "timestamp"}


def test_libraries_speak_in_the_same_form() -> None:
    (line,) = logged("logging.getLogger('some.library').warning('%s happened', 'it')")

    assert (line["event"], line["level"], line["logger"]) == (
        "it happened",
        "warning",
        "some.library",
    )


@pytest.mark.parametrize(
    "bad",
    ["mine.info('bad', fact=Unprintable())", "logging.getLogger('bad').warning('%d', 'text')"],
)
def test_what_cannot_be_shown_is_counted_and_harms_nobody(bad: str) -> None:
    lines = logged(f"{bad}\nmine.info('good')")

    assert [(line["event"], line.get("lines")) for line in lines] == [
        ("log.lines_dropped", 1),
        ("good", None),
    ]


def test_a_process_and_its_fork_write_their_own_lines_once() -> None:
    lines = logged(
        "mine.info('before')\n"
        "child = os.fork()\n"
        "mine.info('after', child=not child)\n"
        "if not child: log.flush(); os._exit(0)\n"
        "os.waitpid(child, 0)\n"
    )

    assert sorted((line["event"], line.get("child", False)) for line in lines) == [
        ("after", False),
        ("after", True),
        ("before", False),
    ]


ON_USE = "import logging\nfrom pushes import log\nlog.configure_on_use('warning', 'json')\n"


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("log.get('mine').warning('some.event', number=1)", ["some.event"]),
        ("logging.getLogger('some.library').warning('it %s', 'happened')", ["it happened"]),
        ("logging.getLogger('some.library').info('too little')", []),
        ("logging.getLogger('urllib3').warning('what a server said')", []),
        ("log.get('mine').info('too.little')\nlog.get('mine').error('enough')", ["enough"]),
    ],
)
def test_it_is_configured_on_use(script: str, wanted: list[str]) -> None:
    done = run(ON_USE + script)

    assert [json.loads(line)["event"] for line in done.splitlines()] == wanted


def test_it_loads_nothing_before_it_is_used() -> None:
    assert run(ON_USE + "import sys; assert not {'structlog', 'rich'} & sys.modules.keys()") == ""


def test_a_terminal_gets_lines() -> None:
    assert "some.event" in written("mine.info('some.event', number=1)", "console")
