"""What a Sentry of the tests' own gets of errors, and what it must not get."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from devtools.local.processes import poll
from pushes import log, telemetry
from pushes.telemetry.settings import TelemetrySettings
from tests.collectors import TelemetryReceiver, receiving

SECRET = "token 4711 of Eva Svensson, Storgatan 1"

_log = log.get(__name__)


@pytest.fixture
def sentry() -> Iterator[TelemetryReceiver]:
    with receiving() as receiver:
        log.configure("info", "json")
        dsn = SecretStr(f"http://key@{receiver.address}/1")
        telemetry.start(TelemetrySettings.model_validate({"SENTRY_DSN": dsn}), "worker", "1.2.3")
        yield receiver
        telemetry.stop()


def fail(secret: str) -> None:
    raise ValueError(f"cannot read {secret}")


def log_failure(event: str, **facts: str) -> None:
    try:
        fail(SECRET)
    except ValueError as error:
        _log.error(event, exc_info=error, **facts)


def the_event(sentry: TelemetryReceiver) -> dict[str, Any]:
    poll(sentry.events, 10)
    (event,) = sentry.events()
    return event


def test_it_tells_of_an_error_without_its_words(sentry: TelemetryReceiver) -> None:
    log_failure("attempt.failed_here", order_id="1-2", trace_id="a" * 32, action=SECRET)

    event = the_event(sentry)
    (error,) = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("ValueError", "")
    assert [frame["function"] for frame in error["stacktrace"]["frames"]] == ["log_failure", "fail"]
    assert event["tags"] == {
        "event": "attempt.failed_here",
        "module": __name__,
        "order_id": "1-2",
        "process": "worker",
        "trace_id": "a" * 32,
    }
    assert event["release"] == "klarna-ack@1.2.3"
    everything = b"".join(body for _, body in sentry.posted)
    assert not any(word.encode() in everything for word in ("4711", "Svensson", "Storgatan"))


def test_it_tells_of_a_thread_that_died(
    sentry: TelemetryReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note(ended: threading.ExceptHookArgs) -> None:
        exc_info = (ended.exc_type, ended.exc_value, ended.exc_traceback)
        _log.error("worker.thread_ended", thread="settle", exc_info=exc_info)

    monkeypatch.setattr(threading, "excepthook", note)
    thread = threading.Thread(target=fail, args=(SECRET,))
    thread.start()
    thread.join()

    assert the_event(sentry)["tags"]["event"] == "worker.thread_ended"


def test_it_tells_of_nothing_that_is_no_fault_of_ours(sentry: TelemetryReceiver) -> None:
    _log.error("push.dead", order_id="1-2", action="replay it")
    _log.warning("push.retrying", exc_info=ValueError("no error"))
    log_failure("attempt.failed_here")

    assert the_event(sentry)["tags"]["event"] == "attempt.failed_here"
