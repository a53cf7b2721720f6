"""The documents hold: tables, names, commands and links are read and compared with the code."""

import ast
import contextlib
import io
import re
import runpy
import shlex
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import click
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from requests.structures import CaseInsensitiveDict

from cli.main import terminal
from devtools.local.processes import ROOT
from klarna import PRESETS, KlarnaError, Observe, Operation, Order
from klarna.answers import Answer
from klarna.failures import failure_of
from klarna.results import read_acceptance, read_order
from pushes import log, policy
from pushes.accounts.settings import CommonToken, OneAccount
from pushes.model import PUSH_WINDOW, Push, Reason, State
from pushes.policy import RetryPolicy
from pushes.read import at_risk, overview
from pushes.read.alarms import Alarm
from pushes.settings.problems import is_secret
from service import make_app
from service.settings import WebSettings
from service.settings import load as load_web
from tests.builders import NOW, Unlimited, a_push
from worker.attempt.acknowledge import Acknowledger
from worker.attempt.attempt import Report
from worker.settings import WorkerSettings
from worker.settings import load as load_worker

README = (ROOT / "README.md").read_text()
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
NO_DEFAULT = "\N{EN DASH}"
PROGRAM = ("pushes", "worker", "service", "klarna", "cli")
GUNICORN = ROOT / "deploy" / "gunicorn.conf.py"


def table(heading: str) -> list[list[str]]:
    """The cells of the README's first table under a heading, without its two head rows."""
    _, _, below = README.partition(f"\n{heading}\n")
    assert below, f"the README has no heading {heading!r}"
    found = re.search(r"^\|.*(?:\n\|.*)*", below, re.MULTILINE)
    assert found, f"there is no table under {heading!r}"
    return [[cell.strip() for cell in row[1:-1].split("|")] for row in found[0].splitlines()[2:]]


def words(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


def code(document: Path) -> Iterator[str]:
    """Each line of the fenced blocks, and each inline piece of code."""
    prose = document.read_text()
    for block in re.findall(r"^```\w*\n(.*?)^```", prose, re.MULTILINE | re.DOTALL):
        yield from block.splitlines()
    yield from words(re.sub(r"^```.*?^```", "", prose, flags=re.MULTILINE | re.DOTALL))


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


def of_gunicorn() -> dict[str, str]:
    """What gunicorn's file takes from the environment: `os.environ.get(NAME) or DEFAULT`."""
    return {
        call.args[0].value: str(default.value)
        for node in ast.walk(ast.parse(GUNICORN.read_text()))
        if isinstance(node, ast.BoolOp) and len(node.values) == 2
        for call, default in [node.values]
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "os.environ.get"
        if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
        if isinstance(default, ast.Constant)
    }


WEB = (WebSettings, CommonToken)
WORKER = (WorkerSettings, OneAccount)


def of_models(*models: type[BaseModel]) -> dict[str, str]:
    return {name: value for model in models for name, value in by_alias(model.model_fields).items()}


def test_it_lists_every_setting_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())  # no terminal
    in_code = {
        **of_models(*WEB, *WORKER),
        **of_gunicorn(),
        "LOG_FORMAT": log.default_form({}),
    }
    in_readme = {
        words(name)[0]: (words(default) or [default])[0]
        for name, default, *_ in table("## Settings")
    }
    assert in_readme == in_code


def test_it_says_which_process_reads_a_setting() -> None:
    web = {*of_models(*WEB), *of_gunicorn()}
    worker = of_models(*WORKER)
    for name, _, _, readers in table("## Settings"):
        (setting,) = words(name)
        expected = {"web": setting in web, "worker": setting in worker}
        assert (setting, {process: process in readers for process in expected}) == (
            setting,
            expected,
        )


def test_it_reads_all_of_gunicorns_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    config = runpy.run_path(str(GUNICORN))
    assert of_gunicorn() == {
        "PORT": config["bind"].rpartition(":")[2],
        "WEB_CONCURRENCY": str(config["workers"]),
    }
    assert GUNICORN.read_text().count("os.environ") == len(of_gunicorn())
    assert f"{config['limit_request_line']:,} bytes" in README


def test_it_names_every_secret_that_can_be_a_file() -> None:
    named = set(re.findall(r"\b[A-Z_]+_FILE\b", README))
    assert named - {"ACCOUNTS_FILE", "NAME_FILE"} == {
        f"{field.alias}_FILE"
        for model in (*WEB, *WORKER)
        for field in model.model_fields.values()
        if field.alias and is_secret(field)
    }


def test_it_names_every_preset() -> None:
    (meaning,) = (row[2] for row in table("## Settings") if "KLARNA_API_URL" in row[0])
    bases = {word for word in words(meaning) if not word.startswith("-")}
    assert {*bases, *(f"{base}-playground" for base in bases)} == set(PRESETS)


def test_it_shows_an_accounts_file_that_both_processes_read(tmp_path: Path) -> None:
    found = re.search(r"^```toml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found
    secret = tmp_path / "secret"
    secret.write_text("from a file")
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(re.sub(r'password_file = ".*"', f'password_file = "{secret}"', found[1]))
    environment = {"REDIS_URL": "redis://localhost", "ACCOUNTS_FILE": str(accounts)}
    web, worker = load_web(environment), load_worker(environment)
    assert set(web.tokens) == set(worker.accounts) == {"sweden", "kustom"}
    assert worker.accounts["sweden"].password.get_secret_value() == "from a file"


def test_it_tells_how_status_counts_what_is_at_risk() -> None:
    assert "less than {}, {} and {} hours".format(*at_risk.HOURS) in README
    assert f"the {at_risk.AMOUNTS_READ:,} most urgent orders" in README
    for key in overview.AtRiskView.__annotations__:
        assert f'"{key}"' in README


# States, reasons, answers


def test_it_lists_the_states() -> None:
    assert [(words(word), meaning) for word, meaning in table("### States")] == [
        ([str(state)], state.sentence) for state in State
    ]


def test_it_lists_the_reasons() -> None:
    assert [(words(word), step) for word, step in table("### Reasons of `dead`")] == [
        ([str(reason)], reason.next_step) for reason in Reason
    ]


def test_it_tells_how_long_records_are_kept() -> None:
    assert f"are kept for {policy.RETENTION.days} days" in README
    minutes = int(policy.ALREADY_ACKNOWLEDGED.total_seconds() // 60)
    assert f"settled less than {minutes} minutes ago" in README


def test_it_tells_when_a_repeated_push_expedites_a_retry() -> None:
    minutes = int(policy.EXPEDITED_AFTER.total_seconds() // 60)
    assert f"`retrying` after a failure for {minutes} minutes or longer" in README


def test_it_tells_how_long_an_unknown_order_is_remembered() -> None:
    minutes = int(policy.UNKNOWN_REMEMBERED.total_seconds() // 60)
    assert f"for {minutes} minutes repeats are only counted" in README


def test_it_tells_when_the_last_attempt_before_the_deadline_is_made() -> None:
    minutes = int(policy.LAST_ATTEMPT_BEFORE.total_seconds() // 60)
    hours = int(PUSH_WINDOW.total_seconds() // 3600)
    assert f"the deadline, {hours} hours after the first push" in README
    assert f"is made {minutes} minutes before it" in README


ATTEMPT = a_push(State.RUNNING)
ORDER_ID = ATTEMPT.key.order_id
OPEN = f'{{"order_id": "{ORDER_ID}", "status": "AUTHORIZED"}}'
CLOSED = OPEN.replace("AUTHORIZED", "CANCELLED")
ERROR = '{"error_code": "SOME_CODE", "error_messages": ["some message"]}'
PAGE = "<html>some page</html>"
UNTRUSTED = ssl.SSLCertVerificationError()

# What Klarna may say: a status and a body, or what the network layers raise.
Said = tuple[int, str] | OSError

SAMPLES: dict[str, list[Said]] = {
    "`2xx` with the order, open": [(200, OPEN)],
    "`2xx` with the order, CANCELLED, EXPIRED or CLOSED": [
        (200, OPEN.replace("AUTHORIZED", status)) for status in ("CANCELLED", "EXPIRED", "CLOSED")
    ],
    "`2xx` with another order": [(200, OPEN.replace(ORDER_ID[:8], "ffffffff"))],
    "`2xx`, empty or a JSON object without an error code": [(204, ""), (200, "{}"), (201, "{}")],
    "`404` in JSON, or empty": [(404, ERROR), (404, ERROR[:9]), (404, "")],
    "`401`": [(401, PAGE), (401, ERROR), (401, "")],
    "`403` in JSON": [(403, ERROR)],
    "`403` not in JSON": [(403, PAGE), (403, "")],
    "`3xx`, never followed": [(301, PAGE), (302, ""), (308, ERROR)],
    "`404` with a page": [(404, PAGE)],
    "no answer: the certificate is not trusted": [UNTRUSTED],
    "no answer: time-out, reset, host not found": [
        TimeoutError(),
        ConnectionResetError(),
        socket.gaierror(),
    ],
    "`409` or `5xx`": [(409, ERROR), (500, ERROR), (502, PAGE), (503, ""), (504, PAGE)],
    "`2xx` that cannot be read": [(200, PAGE), (200, OPEN[:9]), (200, ERROR), (200, "[1]")],
    "`429`": [(429, ERROR), (429, PAGE)],
    "any other `4xx`": [(400, ERROR), (405, PAGE), (413, PAGE), (422, ERROR), (410, "")],
}


@dataclass
class KlarnaDouble:
    """Gives the answers it is told to, read as the client reads them."""

    to_get: list[Said]
    to_acknowledge: Said = (204, "")
    calls: list[Operation] = field(default_factory=list)

    def get_order(self, order_id: str, *, observe: Observe) -> Order:  # noqa: ARG002 - the Protocol's names
        said = self.to_get.pop(0) if len(self.to_get) > 1 else self.to_get[0]
        order, _ = read_order(self._answer(Operation.GET_ORDER, said))
        return order

    def acknowledge(self, order_id: str, *, idempotency_key: str, observe: Observe) -> None:  # noqa: ARG002 - as above
        read_acceptance(self._answer(Operation.ACKNOWLEDGE, self.to_acknowledge))

    def _answer(self, operation: Operation, said: Said) -> Answer:
        self.calls.append(operation)
        if isinstance(said, OSError):
            raise self._failure(said, operation) from said
        status, body = said
        return Answer(operation, status, CaseInsensitiveDict(), body.encode(), 5, NOW)

    def _failure(self, error: OSError, operation: Operation) -> KlarnaError:
        return failure_of(error, operation, 5, time_is_up=False)


def life_with(klarna: KlarnaDouble) -> list[str]:
    """The words for what becomes of a push while Klarna answers like this, to the end."""
    acknowledger = Acknowledger({"default": klarna}, RetryPolicy(), lambda: 0.5, Unlimited())
    told: list[str] = []
    push = ATTEMPT
    while True:
        after = acknowledger.attempt(push, Report()).step(push, NOW).after
        told += said_of(push, after)
        if after.state is not State.RETRYING or spent(push, after) is None:
            return list(dict.fromkeys(told))
        push = replace(push, failures=after.failures, not_found=after.not_found)


def said_of(push: Push, after: Push) -> Iterable[str]:
    yield str(after.state)
    if delays := spent(push, after):
        yield delays
    if after.state is State.DEAD:
        yield str(after.reason)


def spent(push: Push, after: Push) -> str | None:
    if after.failures > push.failures:
        return "RETRY_DELAYS_S"
    return "NOT_FOUND_DELAYS_S" if after.not_found > push.not_found else None


KNOWN_WORDS = {*State, *Reason, "RETRY_DELAYS_S", "NOT_FOUND_DELAYS_S"}
ANSWERS = table("## How Klarna's answers become states")


def test_it_has_a_sample_for_every_answer_in_the_table() -> None:
    assert [row[0] for row in ANSWERS] == list(SAMPLES)


@pytest.mark.parametrize(("answer", "to_get"), [row[:2] for row in ANSWERS if row[1]])
def test_it_tells_what_an_answer_to_get_means(answer: str, to_get: str) -> None:
    for said in SAMPLES[answer]:
        klarna = KlarnaDouble([said])
        told = life_with(klarna)
        if Operation.ACKNOWLEDGE in klarna.calls:
            assert to_get == "goes on to acknowledge"
        else:
            assert [word for word in words(to_get) if word in KNOWN_WORDS] == told, said


@pytest.mark.parametrize(
    ("answer", "to_acknowledge"),
    [(row[0], row[1] if row[2] == "the same" else row[2]) for row in ANSWERS if row[2]],
)
def test_it_tells_what_an_answer_to_acknowledge_means(answer: str, to_acknowledge: str) -> None:
    for said in SAMPLES[answer]:
        closed_meanwhile = life_with(KlarnaDouble([(200, OPEN), (200, CLOSED)], said))
        still_open = life_with(KlarnaDouble([(200, OPEN)], said))
        told = list(dict.fromkeys([*closed_meanwhile, *still_open]))
        if closed_meanwhile != [State.NOT_NEEDED]:
            told = still_open
        assert [word for word in words(to_acknowledge) if word in KNOWN_WORDS] == told, said


def test_it_lists_every_endpoint() -> None:
    app = make_app(load_web({"REDIS_URL": "redis://localhost"}))
    in_code = {
        f"{method} {rule.rule.replace('first', 'order_id')}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    in_readme = {endpoint for row in table("## HTTP endpoints") for endpoint in words(row[0])}
    # Two forms of the path share a rule: one segment is an account or an order id.
    in_readme -= {"POST /push/<account>", "POST /push/<account>/<order_id>"}
    assert in_readme == in_code - {"POST /push/<order_id>/<second>"}


def test_it_names_every_alarm() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text()
    for alarm in Alarm:
        assert f"`{alarm}`" in README
        assert f'klarna_ack_alarm{{alarm="{alarm}"}}' in operations


# Log events

# What an f-string in the name of an event can become.
EXPANSIONS = {
    "push.{push.state}": [f"push.{State.RETRYING}", f"push.{State.HELD}"],
    "push.{kind}_requeued": ["push.stray_requeued", "push.orphan_requeued"],
}


def alarming_events() -> Iterator[str]:
    for package in PROGRAM:
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and re.fullmatch(
                    r"_?log(ger)?\.(warning|error|exception|critical)", ast.unparse(node.func)
                ):
                    name = ast.unparse(node.args[0]).removeprefix("f").strip("'\"")
                    yield from EXPANSIONS.get(name, [name])


def test_it_has_an_entry_for_every_warning_and_error() -> None:
    headings = re.findall(r"^### `([a-z_]+\.[a-z_]+)`$", RUNBOOK, re.MULTILINE)
    assert sorted(headings) == sorted(set(alarming_events()))


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
            for name, inner in command.commands.items():
                yield from paths(inner, (*path, name))
        else:
            yield path

    named = list(commands(ROOT / "README.md"))
    missing = [
        path for path in paths(terminal) if all(tuple(one[: len(path)]) != path for one in named)
    ]
    assert missing == [("dev",)]  # the README calls it `make demo`
