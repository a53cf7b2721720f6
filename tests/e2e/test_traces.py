"""A push's trace, through the record, in the log lines of every process that has to do with it."""

import json

import requests

from devtools.local.processes import LoggedProcess, Processes
from pushes.model import State
from tests.e2e.test_promise import Scene
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
