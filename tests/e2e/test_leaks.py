"""No secret and no person's data in any log line, in Redis, or in an answer: every row of the table
is run with the most talkative logs, with requests nobody should send, and with Redis away for a
while.
"""

import json
import socket
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import pytest
import requests
from redis import Redis

from devtools.local.embedded import EmbeddedServer
from devtools.local.processes import Process, Processes, Web, poll
from devtools.local.sandbox_control import SandboxControl
from pushes.model import State
from sandbox.api.order_body import DATE_OF_BIRTH, PERSON
from tests.e2e.test_behaviour import (
    MISCONFIGURED,
    NO_ORDER,
    ROWS,
    Service,
    push_row,
    start_service,
)

USERNAME = "K123456_0badc0de"
PASSWORD = "pass+word/of=the&shop"
TOKEN = "token+of/the=shop"
PLAIN_TOKEN = "token-of-an-account"
WRONG = "a-guess-at-somebody's-token"


def secrets_of(redis_url: str) -> dict[str, str]:
    """What must not be seen, by name."""
    return {
        "Klarna password": PASSWORD,
        "Basic header": b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode(),
        "push token": TOKEN,
        "a wrong push token": WRONG,
        "Redis password": str(urlsplit(redis_url).password),
    }


def personal() -> dict[str, str]:
    telling = ("given_name", "family_name", "street_address", "postal_code", "city", "email")
    return {
        **{name: PERSON[name] for name in (*telling, "phone")},
        "date of birth": DATE_OF_BIRTH,
    }


def found_in(text: str, wanted: Mapping[str, str]) -> set[str]:
    """The names of what is in the text, written plainly or as in a URL or in JSON."""
    return {
        name
        for name, value in wanted.items()
        for written in (value, quote(value), quote_plus(value), quote(value, safe=""))
        if written in text or json.dumps(written)[1:-1] in text
    }


@dataclass(frozen=True)
class Run:
    """What is left of a run: what every process wrote, and everything Redis was ever told."""

    logs: Mapping[str, str]
    answers: str
    command_lines: str
    written_to_redis: str
    redis_url: str


@pytest.fixture(scope="module")
def run(
    sandbox_process: tuple[SandboxControl, dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Run]:
    sandbox, first_settings = sandbox_process
    directory = tmp_path_factory.mktemp("leaks")
    sandbox.reset()
    sandbox.settings(**first_settings)
    sandbox.settings(username=USERNAME, password=PASSWORD)
    # A refused GET means the account here: Klarna refuses the look at another order, too.
    sandbox.add_fault("unauthorized_html", operation="get_order", order_id=NO_ORDER)
    with EmbeddedServer() as server, Redis.from_url(server.url) as redis:
        processes = Processes({"REDIS_URL": server.url, "LOG_LEVEL": "debug"}, directory)
        try:
            accounts = directory / "accounts.toml"
            service = start_service(processes, redis, sandbox, accounts, PUSH_TOKEN=TOKEN)
            run_rows(service)
            answers = send_what_nobody_should(service)
            command_lines = all_command_lines()
            take_redis_away(service, server)
            exit_codes = [service.worker.terminate(), service.web.terminate()]
            assert exit_codes == [0, 0]
        finally:
            processes.kill_all()
        logs = {file.name: file.read_text() for file in directory.glob("*.log")}
        append_only = (server.directory / "appendonlydir").iterdir()
        written = "".join(file.read_bytes().decode("latin-1") for file in append_only)
        yield Run(logs, answers, command_lines, written, server.url)


def run_rows(service: Service) -> None:
    rows = [row for row in ROWS if not row.slow]
    keys = [push_row(service, row) for row in rows]
    held = [service.new_order() for _ in MISCONFIGURED]
    for key, fault in zip(held, MISCONFIGURED.values(), strict=True):
        service.add_faults(key, "any", fault)
        service.push(key)
    for key, row in zip(keys, rows, strict=True):
        service.wait_until(key, row.state, attempts=row.attempts)
    for key in held:
        service.wait_until(key, State.HELD)


def send_what_nobody_should(service: Service) -> str:
    """Refused requests of every kind; everything that was answered."""
    key = service.new_order()
    url, order = service.web.url, f"/push/{key.account}/{key.order_id}"
    answered = [
        requests.post(url + path, params={"token": token}, data=body, timeout=10).text
        for token in (TOKEN, WRONG)
        for path, body in (
            (order, b""),
            (order, b"x" * 70_000),
            (f"/push/{key.account}", b""),
            (f"/push/{key.account}/not-an-id", b""),
            (f"/push/nobody/{key.order_id}", b""),
            ("/nowhere", b""),
        )
    ]
    answered += [
        requests.request(method, url + order, params={"token": TOKEN}, timeout=10).text
        for method in ("GET", "PUT", "DELETE", "OPTIONS")
    ]
    for path in ("/healthz", "/readyz", "/metrics"):
        answered.append(requests.get(url + path, params={"token": TOKEN}, timeout=10).text)
    return "\n".join(answered)


def all_command_lines() -> str:
    """What anybody on this machine can read of each of its processes, ours among them."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            lines.append((process / "cmdline").read_bytes().decode(errors="replace"))
    return "\n".join(lines)


def take_redis_away(service: Service, server: EmbeddedServer) -> None:
    key = service.new_order()
    url = f"{service.web.url}/push/{key.account}/{key.order_id}"
    server.kill()
    assert requests.post(url, params={"token": TOKEN}, timeout=10).status_code == 503
    assert requests.get(f"{service.web.url}/readyz", timeout=10).status_code == 503
    poll(lambda: "worker.redis_away" in service.worker.log, 30)
    server.restart()
    service.push(key)
    service.wait_until(key, State.ACKNOWLEDGED)


def test_it_logs_no_secret(run: Run) -> None:
    for log in run.logs.values():
        assert found_in(log, secrets_of(run.redis_url)) == set()


def test_no_command_line_shows_a_secret(run: Run) -> None:
    assert "python\0-m\0service\0" in run.command_lines
    assert found_in(run.command_lines, secrets_of(run.redis_url)) == set()


def test_it_logs_nothing_about_a_person(run: Run) -> None:
    for log in run.logs.values():
        assert found_in(log, personal()) == set()


def test_it_writes_no_secret_and_nothing_about_a_person_to_redis(run: Run) -> None:
    assert "acknowledged" in run.written_to_redis
    wanted = secrets_of(run.redis_url) | personal()
    assert found_in(run.written_to_redis, wanted) == set()


def test_it_answers_with_no_secret(run: Run) -> None:
    assert found_in(run.answers, secrets_of(run.redis_url) | personal()) == set()


def test_it_logs_json_with_an_event_a_level_and_a_time(run: Run) -> None:
    assert len(run.logs) == 2
    for log in run.logs.values():
        lines = [json.loads(line) for line in log.splitlines()]
        assert len(lines) > 50
        assert [line for line in lines if not {"event", "level", "timestamp"} <= line.keys()] == []
        assert all(isinstance(line["event"], str) and line["event"] for line in lines)


def test_it_tells_of_every_dead_and_held_push_what_to_do(run: Run) -> None:
    (log,) = (log for name, log in run.logs.items() if name.startswith("worker"))
    lines = [json.loads(line) for line in log.splitlines()]

    dead = [line for line in lines if line["event"] == "push.dead"]
    held = [line for line in lines if line["event"] == "push.held"]

    rows = [row for row in ROWS if not row.slow and row.state is State.DEAD]
    assert len(dead) == len(rows)
    assert all(line["action"] and line["reason"] and line["order_id"] for line in dead)
    assert len(held) >= len(MISCONFIGURED)
    assert all(line["error"] and line["order_id"] for line in held)
    alarms = [line for line in lines if line["event"] == "account.held"]
    assert len(alarms) == len(MISCONFIGURED)
    assert all(line["action"] and line["cause"] and line["account"] for line in alarms)


@pytest.fixture
def web(processes: Processes, tmp_path: Path) -> Web:
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(f'[accounts.one]\n[accounts.two]\npush_token = "{PLAIN_TOKEN}"\n')
    env = {"ACCOUNTS_FILE": str(accounts), "PUSH_TOKEN": TOKEN, "LOG_LEVEL": "debug"}
    return processes.web(**env).wait_ready()


@pytest.mark.parametrize(
    "request_line",
    [
        f"POST /push?klarna_order_id=an id&token={TOKEN} HTTP/1.1",
        f"POST /push?klarna_order_id='an&token={TOKEN} HTTP/9.9",
        f'POST /push?klarna_order_id="an"&token={TOKEN} HTTP',
        f"POST /push?token={TOKEN}",
        f"POST  /push?token={TOKEN} HTTP/1.1",
        f"post /push?token={TOKEN} HTTP/1.1",
        f"POST push?token={TOKEN} HTTP/1.1",
        f"POST /push?filler={'x' * 9000}&token={TOKEN} HTTP/1.1",
        f"POST http://[::1/push?token={TOKEN} HTTP/1.1",
        f"POST /push?token={TOKEN} x HTTP/1.1",
        f"POST /push?token={TOKEN}  HTTP/1.1",
        f"POST /push token={TOKEN} HTTP/1.1",
        f"POST /push%3Ftoken={TOKEN} HTTP/1.1",
        f"POST /push;token={TOKEN} HTTP/1.1",
        f"POST /push/token/{TOKEN} HTTP/1.1",
        f"POST /push/{PLAIN_TOKEN} HTTP/1.1",
        f"POST /{PLAIN_TOKEN}?token={TOKEN} HTTP/1.1",
        f"{TOKEN} /push HTTP/1.1",
        f"POST /push HTTP/1.1\r\n{TOKEN}: 1",
        f"POST /push HTTP/1.1\r\nExpect: {TOKEN}",
        f"POST /push?token={TOKEN} HTTP/1.1\r\nNo header",
        f"POST /push?token={TOKEN} HTTP/1.1\r\nContent-Length: many",
        f"POST /push?token={TOKEN} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnot a chunk",
    ],
)
def test_it_repeats_no_token_of_a_request_it_cannot_read(web: Web, request_line: str) -> None:
    before = web.log
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        connection.sendall(f"{request_line}\r\nHost: shop\r\nConnection: close\r\n\r\n".encode())
        answer = connection.makefile(errors="replace").read()
    requests.get(f"{web.url}/nowhere", timeout=10)
    poll(lambda: "/nowhere" in web.log.removeprefix(before))

    tokens = {"push token": TOKEN, "push token of an account": PLAIN_TOKEN}
    assert found_in(web.log, tokens) == set()
    assert found_in(answer, tokens) == set()
    for line in web.log.splitlines():
        assert json.loads(line)["event"]


def test_it_says_what_is_wrong_with_the_settings_and_never_shows_them(
    processes: Processes, tmp_path: Path
) -> None:
    wrong = {
        "REDIS_URL": f"http://:{PASSWORD}@127.0.0.1",
        "KLARNA_API_URL": f"https://shop:{PASSWORD}@api.example",
        "KLARNA_USERNAME": USERNAME,
        "KLARNA_PASSWORD": " ",
        "PUSH_TOKEN": f"{TOKEN} {TOKEN}",
        "LOG_LEVEL": "loud",
    }
    for name in ("web", "worker"):
        exit_code, said = run_to_its_end(name, processes.env | wrong, tmp_path)
        assert exit_code == 78
        assert "REDIS_URL" in said
        assert "LOG_LEVEL" in said
        wanted = {"password": PASSWORD, "token": TOKEN, "user": USERNAME}
        assert found_in(said, wanted) == set()


def test_it_says_which_variable_of_the_environment_cannot_be_used(
    processes: Processes, tmp_path: Path
) -> None:
    wrong = {"REQUESTS_CA_BUNDLE": str(tmp_path / "missing.pem")}

    exit_code, said = run_to_its_end("worker", processes.env | wrong, tmp_path)

    assert (exit_code, "Traceback" in said) == (78, False)
    assert "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names no file" in said


def run_to_its_end(name: str, env: Mapping[str, str], directory: Path) -> tuple[int | None, str]:
    process = Process(name, env, directory / f"{name}-of-its-own.txt")
    try:
        poll(lambda: process.exit_code is not None, 30)
        return process.exit_code, process.log
    finally:
        process.kill9()
