"""`klarna-ack notify`: messages to a real receiver, and no URL in what is printed."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from notify import delivery, recipients
from notify.messages import TEST
from notify.recipients import parse
from tests.integration.test_cli_support import answer, error, run
from tests.receivers import URL_SECRET, MessageReceiver, receiving

# `notify test` needs no Redis; this one is not there.
REDIS = "redis://127.0.0.1:1"
NOBODY = f"json://127.0.0.1:1/{URL_SECRET}"


@pytest.fixture
def receiver() -> Iterator[MessageReceiver]:
    with receiving() as receiver:
        yield receiver


def test_it_sends_a_test_message_to_each_and_says_who_took_it(receiver: MessageReceiver) -> None:
    result = run(REDIS, "notify", "test", NOTIFY_URLS=f"{receiver.url} {NOBODY}")

    assert (result.exit_code, result.stdout.splitlines()) == (
        1,
        ["url  service  result", "1    JSON     taken", "2    JSON     refused, or not reached"],
    )
    assert result.stderr.startswith("Error: 1 of 2 did not take it. Look at the URL")
    assert receiver.taken() == [("info", TEST.title, TEST.body)]


def test_it_ends_with_0_when_all_took_it_and_prints_json(
    receiver: MessageReceiver, tmp_path: Path
) -> None:
    file = tmp_path / "urls"
    file.write_text(f"{receiver.url}\n{receiver.url}?x=y\n")

    assert answer(run(REDIS, "notify", "test", "--json", NOTIFY_URLS_FILE=str(file))) == {
        "items": [
            {"number": number, "service": "JSON", "taken": True, "error": None} for number in (1, 2)
        ]
    }
    assert len(receiver.taken()) == 2


@pytest.mark.parametrize(("status", "told"), [(500, "HTTP 500"), (404, "HTTP 404")])
def test_it_says_what_the_service_answered(
    status: int, told: str, receiver: MessageReceiver
) -> None:
    receiver.status = status
    result = run(REDIS, "notify", "test", "--json", NOTIFY_URLS=receiver.url)
    assert [one["error"] for one in answer(result, 1)["items"]] == [told]


def test_a_service_that_never_answers_has_its_time_and_no_more(receiver: MessageReceiver) -> None:
    receiver.answering.clear()
    (recipient,) = parse(receiver.url)
    assert delivery.deliver(recipient, TEST, time_limit_s=1) == "no answer within 1 s"


@pytest.mark.parametrize(
    ("urls", "problem"),
    [
        (None, "is not set; it must be URLs of apprise such as slack://…, with spaces between"),
        ("", "it is empty; give it a value, or take it away"),
        (f"json://h/ foo://{URL_SECRET} x", "no service can be made of entry 2, 3 of 3; it must"),
        (f"{NOBODY} {NOBODY}", "a URL stands in it twice; take one of them away"),
    ],
)
def test_it_ends_with_78_when_nobody_can_be_told(urls: str | None, problem: str) -> None:
    env = {} if urls is None else {"NOTIFY_URLS": urls}
    said = error(run(REDIS, "notify", "test", **env), 78)
    assert f"NOTIFY_URLS: {problem}" in said
    assert URL_SECRET not in said


def test_it_names_the_command_that_installs_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recipients, "find_spec", lambda _name: None)
    said = error(run(REDIS, "notify", "test", NOTIFY_URLS=NOBODY), 78)
    assert f"the package apprise, which is not installed: {recipients.INSTALL}" in said


def test_it_never_shows_a_url(receiver: MessageReceiver) -> None:
    receiver.status = 403
    (shown,) = parse(receiver.url)
    assert re.fullmatch(r"[0-9a-f]{12}", shown.key)
    result = run(REDIS, "notify", "test", NOTIFY_URLS=f"{receiver.url} {NOBODY}")
    assert URL_SECRET not in "".join((str(shown), repr(shown), result.output, result.stderr))
