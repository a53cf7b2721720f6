"""The documents hold: tables, names, commands and links are read and compared with the code."""

import contextlib
import io
import re
import runpy
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cli.exits import Refused
from cli.main import terminal
from devtools.local.processes import ROOT
from klarna import PRESETS
from pushes import log
from pushes.accounts.settings import CommonToken, OneAccount
from pushes.settings import EXIT_CONFIGURATION
from pushes.settings.problems import is_secret
from service import make_app
from service.settings import WebSettings
from service.settings import load as load_web
from tests.documents import DOCUMENTS, OPERATIONS, README, code, table, words
from worker.runner import EXIT_SOFTWARE
from worker.settings import WorkerSettings
from worker.settings import load as load_worker

NO_DEFAULT = "\N{EN DASH}"
GUNICORN = ROOT / "deploy" / "gunicorn.conf.py"
EXIT_CODES = "| Exit code of the web process or the worker | Meaning |"


# Settings


def written(setting: FieldInfo) -> str:
    if setting.is_required():
        return NO_DEFAULT
    if isinstance(setting.default, tuple):
        return ",".join(
            f"{part:g}" if isinstance(part, int | float) else part for part in setting.default
        )
    return "none" if setting.default is None else str(setting.default)


def by_alias(settings: Mapping[str, FieldInfo]) -> dict[str, str]:
    return {str(each.alias): written(each) for each in settings.values() if each.alias}


WEB = (WebSettings, CommonToken)
WORKER = (WorkerSettings, OneAccount)


def of_models(*models: type[BaseModel]) -> dict[str, str]:
    return {name: value for model in models for name, value in by_alias(model.model_fields).items()}


def test_it_lists_every_setting_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())  # no terminal
    in_code = {
        **of_models(*WEB, *WORKER),
        "LOG_FORMAT": log.default_form({}),
    }
    in_readme = {
        words(name)[0]: (words(default) or [default])[0]
        for name, default, *_ in table(README, "## Settings")
    }
    assert in_readme == in_code


def test_it_says_which_process_reads_a_setting() -> None:
    web = of_models(*WEB)
    worker = of_models(*WORKER)
    for name, _, _, readers in table(README, "## Settings"):
        (setting,) = words(name)
        expected = {"web": setting in web, "worker": setting in worker}
        assert (setting, {process: process in readers for process in expected}) == (
            setting,
            expected,
        )


def test_it_tells_what_gunicorn_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    config = runpy.run_path(str(GUNICORN))
    assert f"{config['limit_request_line']:,} bytes" in README.read_text()
    assert f"with {config['threads']} threads each" in README.read_text()


def test_it_tells_the_exit_codes() -> None:
    codes = f"{Refused.exit_code} refused or failed, {click.UsageError.exit_code} wrong usage"
    assert f"{codes}, {EXIT_CONFIGURATION} configuration" in README.read_text()
    assert f"{codes}, {EXIT_CONFIGURATION} the settings are not usable" in OPERATIONS.read_text()
    assert [code for code, _ in table(OPERATIONS, EXIT_CODES)] == [
        "0",
        f"{EXIT_SOFTWARE}",
        f"{EXIT_CONFIGURATION}",
        "any other",
    ]


def test_it_names_every_secret_that_can_be_a_file() -> None:
    named = set(re.findall(r"\b[A-Z_]+_FILE\b", README.read_text()))
    assert named - {"ACCOUNTS_FILE", "NAME_FILE"} == {
        f"{field.alias}_FILE"
        for model in (*WEB, *WORKER)
        for field in model.model_fields.values()
        if field.alias and is_secret(field)
    }


def test_it_names_every_preset() -> None:
    (meaning,) = (row[2] for row in table(README, "## Settings") if "KLARNA_API_URL" in row[0])
    bases = {word for word in words(meaning) if not word.startswith("-")}
    assert {*bases, *(f"{base}-playground" for base in bases)} == set(PRESETS)


def test_it_shows_an_accounts_file_that_both_processes_read(tmp_path: Path) -> None:
    found = re.search(r"^```toml\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    secret = tmp_path / "secret"
    secret.write_text("from a file")
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(re.sub(r'password_file = ".*"', f'password_file = "{secret}"', found[1]))
    environment = {"REDIS_URL": "redis://localhost", "ACCOUNTS_FILE": str(accounts)}
    web, worker = load_web(environment), load_worker(environment)
    assert set(web.tokens) == set(worker.accounts) == {"sweden", "kustom"}
    assert worker.accounts["sweden"].password.get_secret_value() == "from a file"


def test_it_lists_every_endpoint() -> None:
    app = make_app(load_web({"REDIS_URL": "redis://localhost"}))
    in_code = {
        f"{method} {rule.rule.replace('first', 'order_id')}"
        for rule in app.url_map.iter_rules()
        if not rule.rule.startswith("/ops")  # docs/console.md tells of the pages
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    in_readme = {
        endpoint for row in table(README, "## HTTP endpoints") for endpoint in words(row[0])
    }
    # Two forms of the path share a rule: one segment is an account or an order id.
    in_readme -= {"POST /push/<account>", "POST /push/<account>/<order_id>"}
    in_readme -= {"POST /push/<account>/<path>"}
    in_code -= {"POST /push/<order_id>/<second>", "POST /push/<order_id>/<path:second>"}
    assert in_readme == in_code


# Links and commands


def anchors(document: Path) -> set[str]:
    """What a heading can be linked by."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_it_links_to_what_exists(document: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", document.read_text())
    broken = []
    for target in targets:
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = document.parent / path if path else document
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_it_is_short_enough_to_be_read_at_once() -> None:
    assert len(README.read_text().splitlines()) < 200


def test_it_indexes_every_document() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {
        (index.parent / target).resolve()
        for target in re.findall(r"\]\(([^)#\s]+)\)", index.read_text())
    }
    records = set((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert set(DOCUMENTS) - records - {index} <= linked


def test_it_names_tests_of_threats_that_exist() -> None:
    model = ROOT / "docs" / "threat-model.md"
    lines = [line for line in model.read_text().splitlines() if re.match(r"\|(?! Threat|-)", line)]
    named = [re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", line) for line in lines]
    assert len(named) > 20
    assert [line for line, tests in zip(lines, named, strict=True) if not tests] == []
    for file, test in {each for tests in named for each in tests}:
        assert f"def {test}(" in (ROOT / file).read_text(), f"{file}::{test}"


def test_it_indexes_every_decision() -> None:
    records = sorted(path.name for path in (ROOT / "docs" / "adr").glob("[0-9]*.md"))
    index = (ROOT / "docs" / "adr" / "README.md").read_text()
    assert re.findall(r"\]\((\d{4}-[^)]*)\)", index) == records
    assert len({record[:4] for record in records}) == len(records)
    for record in records:
        lines = (ROOT / "docs" / "adr" / record).read_text().splitlines()
        assert lines[0].startswith(f"# {int(record[:4])}. ")
        assert re.match(r"Accepted, \d{4}-\d\d-\d\d\b", lines[3])
        assert [line for line in lines if line.startswith("## ")] == [
            "## Status",
            "## Context",
            "## Decision",
            "## Consequences",
        ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_it_names_make_targets_that_exist(document: Path) -> None:
    targets = set(re.findall(r"^([.a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {found[1] for line in code(document) if (found := re.match(r"make ([.a-z-]+)", line))}
    assert named <= targets


def commands(document: Path) -> Iterator[list[str]]:
    """The words after each `klarna-ack` that is called."""
    for line in code(document):
        if called := re.search(r"(?:^|/| )klarna-ack (.*)", line):
            yield shlex.split(called[1], comments=True)


def parse(command: click.Command, arguments: list[str], parent: click.Context | None) -> None:
    """Read the arguments as the terminal would, running nothing. Raises UsageError."""
    settings = command.context_settings  # kept by click with the command: the same as in life
    context = click.Context(command, info_name="klarna-ack", parent=parent, **settings)
    if isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        _, inner, rest = command.resolve_command(context, arguments)
        assert inner
        parse(inner, rest, context)
    elif arguments:  # without any, the command is only spoken of
        command.make_context("klarna-ack", arguments, parent).close()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_it_names_commands_that_exist(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("orders.txt").touch()
    for arguments in commands(document):
        try:
            with contextlib.suppress(click.exceptions.Exit):  # --help
                parse(terminal, arguments, None)
        except click.UsageError as error:
            pytest.fail(f"klarna-ack {shlex.join(arguments)}: {error.message}")


def test_it_names_every_command() -> None:
    def paths(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner
                yield from paths(inner, (*path, name))
        else:
            yield path

    named = list(commands(ROOT / "README.md"))
    missing = [
        path for path in paths(terminal) if all(tuple(one[: len(path)]) != path for one in named)
    ]
    assert missing == [("dev",)]  # the README calls it `make demo`
