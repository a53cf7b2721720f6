"""What Prometheus reads, checked by its own tool."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime

from redis import Redis

from pushes.accounts.holds import Holds
from pushes.model import HoldReason, State
from pushes.store.counted import totals
from pushes.store.ledger import Ledger
from service import make_app
from service.settings import load
from tests.builders import a_key, put
from worker.periodic.heartbeat import Heartbeat

PACKAGE = "prometheus"


def test_its_tool_finds_nothing_wrong_with_our_metrics(
    debian_tool: Callable[[str, str], str], redis_client: Redis, redis_url: str
) -> None:
    ledger = Ledger(redis_client)
    for state in State:
        put(ledger, state)
    put(ledger, State.QUEUED, a_key("eu"))
    Holds(redis_client).begin("eu", HoldReason.CREDENTIALS, "HTTP 401")
    answered = dict([*totals.CALLS.added(0.1, "get_order", "2xx"), ("pauses:order", 1)])
    totals.add(redis_client, answered | dict(totals.REQUESTS.added(0.1, "intake.take", "200")))
    heartbeat = Heartbeat(redis_client, ledger.rq, slots=8)
    heartbeat.register_birth()  # type: ignore[no-untyped-call]  # RQ gives it no types
    heartbeat.beat(1, 0, {"due": datetime.now(UTC)})
    scraped = make_app(load({"REDIS_URL": redis_url})).test_client().get("/metrics").text

    checked = subprocess.run(
        [debian_tool("promtool", PACKAGE), "check", "metrics"],
        input=scraped,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
