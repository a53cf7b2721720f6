"""A push's trace in every process that has to do with it, and what Sentry gets of a failure."""

import json
import sys
import time
from http import HTTPStatus
from os import EX_SOFTWARE
from pathlib import Path
from typing import Any

import requests

from devtools.local.processes import LoggedProcess, Processes, Web, poll
from pushes.model import State
from tests.collectors import TelemetryReceiver, receiving
from tests.e2e.test_promise import STOP_S, Scene, push_all
from tests.e2e.test_promise import world as world  # noqa: PLC0414 - the fixture is used here, too

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
BROUGHT = f"00-{TRACE}-{PARENT}-01"


def traces_of(process: LoggedProcess, order_id: str) -> dict[str, set[str]]:
    """The ids of traces in the lines about an order, by event."""
    lines = [json.loads(line) for line in process.log.splitlines() if order_id in line]
    return {line["event"]: {line["trace_id"]} for line in lines}


def test_a_push_has_its_trace_in_every_line_of_its_attempts(
    world: Scene, processes: Processes
) -> None:
    web = processes.web().wait_ready()
    worker = processes.worker(RETRY_DELAYS_S="0.1").wait_ready()
    brings, brings_none = world.sandbox.create_orders(count=2)
    for order_id in (brings, brings_none):
        world.sandbox.add_fault("status", order_id=order_id, params={"status": 500}, times=1)

    requests.post(f"{web.push_url}{brings}", headers={"traceparent": BROUGHT}, timeout=10)
    requests.post(f"{web.push_url}{brings_none}", headers={"traceparent": "none"}, timeout=10)
    world.wait_until([brings, brings_none], State.ACKNOWLEDGED, within_s=30)
    worker.terminate()
    web.terminate()

    told = traces_of(web, brings) | traces_of(worker, brings)
    assert told == {
        "push.accepted": {TRACE},
        "push.retrying": {TRACE},
        "push.acknowledged": {TRACE},
    }
    made = traces_of(web, brings_none) | traces_of(worker, brings_none)
    assert made.keys() == told.keys()
    (trace,) = set.union(*made.values())
    assert len(trace) == len(TRACE)
    assert trace != TRACE
    assert [world.record(order_id).trace for order_id in (brings, brings_none)] == [BROUGHT, None]


def test_a_collector_gets_the_push_its_attempt_and_its_calls(
    world: Scene, processes: Processes
) -> None:
    with receiving() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}"}
        web, worker = processes.web(**env).wait_ready(), processes.worker(**env).wait_ready()
        (order_id,) = world.sandbox.create_orders(count=1)

        requests.post(f"{web.push_url}{order_id}", headers={"traceparent": BROUGHT}, timeout=10)
        world.wait_until([order_id], State.ACKNOWLEDGED, within_s=30)
        assert (worker.terminate(), web.terminate()) == (0, 0)
        spans = collector.spans()

    push = spans["klarna-ack-web", "push"]
    attempt = spans["klarna-ack-worker", "attempt"]
    calls = [spans["klarna-ack-worker", f"Klarna {name}"] for name in ("get_order", "acknowledge")]
    assert len(spans) == 4
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    assert push.parent_span_id.hex() == PARENT
    assert attempt.parent_span_id == push.span_id
    assert {call.parent_span_id for call in calls} == {attempt.span_id}
    assert push.start_time_unix_nano < attempt.start_time_unix_nano
    assert all(call.start_time_unix_nano < call.end_time_unix_nano for call in calls)
    facts = {one.key: one.value.string_value for one in attempt.attributes}
    assert facts["klarna_ack.order_id"] == order_id
    assert facts["klarna_ack.state"] == "acknowledged"


def test_a_push_without_a_trace_has_one_of_its_own_with_its_attempts(
    world: Scene, processes: Processes
) -> None:
    with receiving() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}"}
        web, worker = processes.web(**env).wait_ready(), processes.worker(**env).wait_ready()
        (order_id,) = world.sandbox.create_orders(count=1)

        requests.post(f"{web.push_url}{order_id}", timeout=10)
        world.wait_until([order_id], State.ACKNOWLEDGED, within_s=30)
        worker.terminate()
        web.terminate()
        spans = collector.spans()

    assert spans["klarna-ack-web", "push"].parent_span_id == b""
    told = traces_of(web, order_id) | traces_of(worker, order_id)
    assert set.union(*told.values()) == {span.trace_id.hex() for span in spans.values()}


def test_a_collector_that_does_not_answer_holds_nothing_up(
    world: Scene, processes: Processes
) -> None:
    with receiving(deaf=True) as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}"}
        env |= {"OTEL_BSP_SCHEDULE_DELAY": "10", "SENTRY_DSN": f"http://key@{collector.address}/1"}
        web, worker = processes.web(**env).wait_ready(), processes.worker(**env).wait_ready()
        order_ids = world.sandbox.create_orders(count=20)

        push_all(web, order_ids)
        world.wait_until(order_ids, State.ACKNOWLEDGED, within_s=30)
        began = time.monotonic()
        codes = (worker.terminate(), web.terminate())
        took_s = time.monotonic() - began

        assert collector.posted
    assert codes == (0, 0)
    assert took_s < STOP_S


# A worker whose first attempt ends its thread by what nothing in it foresees.
_BROKEN_WORKER = """
import runpy
from worker.attempt.acknowledge import Acknowledger

def fail(*_):
    raise RuntimeError(f"cannot read token {4710 + 1}")

Acknowledger.run = fail
runpy.run_module("worker", run_name="__main__")
"""

# A web process in which taking a push fails.
_BROKEN_WEB = """
import service

def fail(*_, **__):
    raise RuntimeError(f"cannot read token {4710 + 1}")

def create_app():
    app = service.create_app()
    app.view_functions |= {name: fail for name in app.view_functions if name == "intake.take"}
    return app
"""


def told_to(sentry: TelemetryReceiver) -> dict[str, Any]:
    """The one event that Sentry got; nothing that was sent holds a word of the error."""
    poll(sentry.events, 15)
    (event,) = sentry.events()
    assert not any(b"4711" in body for _, body in sentry.posted)
    (error,) = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("RuntimeError", "")
    assert error["stacktrace"]["frames"][-1]["function"] == "fail"
    return event


def test_sentry_gets_what_ended_a_worker(
    world: Scene, processes: Processes, tmp_path: Path
) -> None:
    web = processes.web().wait_ready()
    (order_id,) = world.sandbox.create_orders(count=1)
    with receiving() as sentry:
        env = processes.env | {"SENTRY_DSN": f"http://key@{sentry.address}/1"}
        command = [sys.executable, "-c", _BROKEN_WORKER]
        with LoggedProcess("broken", command, env, tmp_path / "broken.log") as worker:
            requests.post(f"{web.push_url}{order_id}", timeout=10)
            assert poll(lambda: worker.exit_code, 30) == EX_SOFTWARE
        event = told_to(sentry)
    assert (event["tags"]["event"], event["tags"]["process"]) == ("worker.thread_ended", "worker")


def test_sentry_gets_what_a_web_process_failed_at(processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(_BROKEN_WEB)
    command = ["gunicorn", "-c", "deploy/gunicorn.conf.py", "--pythonpath", str(tmp_path)]
    command.append("broken:create_app()")
    with receiving() as sentry:
        env = processes.env | {"SENTRY_DSN": f"http://key@{sentry.address}/1"}
        with Web(env, tmp_path / "web.log", command) as web:
            answer = requests.post(f"{web.wait_ready().push_url}x", timeout=10)
            event = told_to(sentry)
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert (event["tags"]["event"], event["tags"]["process"]) == ("request.failed_here", "web")
