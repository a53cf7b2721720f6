"""Each alert fires when the real thing is broken, alone, and none does while all is well.

A real web process's /metrics is read before and after; Prometheus's own tool judges both by the
rules of deploy/, with the first for half an hour and the second for an hour after that.
"""

import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from rq.suspension import suspend
from rq.worker import SimpleWorker

from devtools.local.embedded import EmbeddedServer
from devtools.local.processes import ROOT
from pushes import life
from pushes.accounts.holds import Holds
from pushes.accounts.pauses import Pauses
from pushes.model import HoldReason, State
from pushes.policy import SUSPICIOUS_UNKNOWN, WRONG_TOKENS_IN_AN_HOUR
from pushes.read import alarms
from pushes.read.alarms import Alarm
from pushes.store import keys, rq_job
from pushes.store.counted import totals
from pushes.store.ledger import Ledger
from service import deps, make_app
from service.settings import load
from tests.builders import ManualClock, a_key, an_order_id, put
from tests.documents import RUNBOOK
from worker.periodic.heartbeat import Heartbeat
from worker.periodic.loops import Loop
from worker.periodic.tasks import PeriodicTask

RULES = ROOT / "deploy" / "prometheus" / "klarna-ack.rules.yaml"
NAMES = re.findall(r"- alert: (\w+)", RULES.read_text())
TOKEN = "a-token-of-the-shop"
BEFORE_MIN, AFTER_MIN = 30, 60


@dataclass
class ScrapedService:
    """A web process over a Redis of its own, with one worker alive."""

    redis: Redis
    url: str

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.redis)
        self.app = make_app(load({"REDIS_URL": self.url, "PUSH_TOKEN": TOKEN}))
        self.worker = Heartbeat(self.redis, self.ledger.rq, slots=8)
        self.worker.register_birth()  # type: ignore[no-untyped-call]  # RQ gives it no types
        self.worker.beat(0, 0, {"due": datetime.now(UTC)})

    def push(self, token: str = TOKEN) -> int:
        path = f"/push/{an_order_id()}?token={token}"
        return self.app.test_client().post(path).status_code

    def scrape(self) -> str:
        with self.app.app_context():
            deps.current().request_times.close()
            deps.current().refusals.close()
        return self.app.test_client().get("/metrics").text


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    with EmbeddedServer() as server:
        yield server


@pytest.fixture
def watched(server: EmbeddedServer) -> Iterator[ScrapedService]:
    with Redis.from_url(server.url) as redis:
        redis.flushall()
        usual = {"appendonly": "yes", "maxmemory": 0, "min-replicas-to-write": 0}
        for name, value in usual.items():
            redis.config_set(name, value)
        yield ScrapedService(redis, server.url)


def no_worker(watched: ScrapedService) -> None:
    watched.worker.register_death()  # type: ignore[no-untyped-call]  # as above


def clock_of_a_worker_is_wrong(watched: ScrapedService) -> None:
    clock = ManualClock(datetime.now(UTC) + timedelta(hours=1))
    worker = Heartbeat(watched.redis, watched.ledger.rq, clock)
    worker.register_birth()  # type: ignore[no-untyped-call]  # as above
    worker.beat(0, 0)


def somebody_starts_rqs_worker(watched: ScrapedService) -> None:
    SimpleWorker([rq_job.QUEUE], connection=watched.redis).register_birth()  # type: ignore[no-untyped-call]  # as above


def a_worker_is_older(watched: ScrapedService) -> None:
    old = Heartbeat(watched.redis, watched.ledger.rq)
    old.register_birth()  # type: ignore[no-untyped-call]  # as above
    old.beat(0, 0)
    watched.redis.hset(old.key, keys.WORKER_VERSION_FIELD, "0.0.9")


def a_worker_dies(watched: ScrapedService) -> None:
    running = put(watched.ledger, State.RUNNING, now=datetime.now(UTC))
    watched.ledger.advance(running.key, lambda push: life.crashed(push, datetime.now(UTC)))


def a_task_hangs(watched: ScrapedService) -> None:
    """A loop succeeds once, then its task never returns."""
    done, hangs, for_ever = threading.Event(), threading.Event(), threading.Event()

    def act() -> None:
        if done.is_set():
            hangs.set()
            for_ever.wait()
        done.set()

    loop = Loop(PeriodicTask("prune", 0.001, act))
    loop.start()
    assert hangs.wait(5)
    assert loop.succeeded_at
    watched.worker.beat(0, 0, {"due": datetime.now(UTC), loop.name: loop.succeeded_at})
    loop.stop()
    for_ever.set()


def waits_for(hours: float) -> Callable[[ScrapedService], None]:
    def breaks(watched: ScrapedService) -> None:
        put(watched.ledger, State.RETRYING, now=datetime.now(UTC) - timedelta(hours=hours))

    return breaks


def an_order_dies(watched: ScrapedService) -> None:
    put(watched.ledger, State.DEAD, now=datetime.now(UTC))


def klarna_limits(watched: ScrapedService) -> None:
    for order in ("one", "two"):
        Pauses(watched.redis).limited("eu", order, 7200, "HTTP 429")
    put(watched.ledger, State.QUEUED, a_key("eu"), datetime.now(UTC))


def klarna_knows_no_order(watched: ScrapedService) -> None:
    put(watched.ledger, State.QUEUED, now=datetime.now(UTC))
    for _ in range(SUSPICIOUS_UNKNOWN):
        Holds(watched.redis).unknown("default")


def raised(alarm: Alarm) -> Callable[[ScrapedService], object]:
    return lambda watched: alarms.set_off(watched.redis, alarm, datetime.now(UTC))


def wrong_tokens(watched: ScrapedService) -> None:
    assert {watched.push("wrong-token") for _ in range(WRONG_TOKENS_IN_AN_HOUR)} == {404}


def redis_refuses_writes(watched: ScrapedService) -> None:
    watched.redis.config_set("min-replicas-to-write", 1)
    assert watched.push() == 503
    watched.redis.config_set("min-replicas-to-write", 0)


def redis_is_nearly_full(watched: ScrapedService) -> None:
    used = int(watched.redis.info("memory")["used_memory"])
    watched.redis.config_set("maxmemory", int(used * 1.1))


def intake_is_slow(watched: ScrapedService) -> None:
    slow = totals.REQUESTS.added(3, "intake.take", "200")
    totals.add(watched.redis, {name: count * 10 for name, count in slow})


def hold(watched: ScrapedService) -> None:
    put(watched.ledger, State.QUEUED, now=datetime.now(UTC))
    Holds(watched.redis).begin("default", HoldReason.CREDENTIALS, "HTTP 401")


# How the thing is broken that an alert is for.
BROKEN: dict[str, Callable[[ScrapedService], object]] = {
    "KlarnaAckNoWorkers": no_worker,
    "KlarnaAckSuspended": lambda watched: suspend(watched.redis),
    "KlarnaAckClockSkewed": clock_of_a_worker_is_wrong,
    "KlarnaAckOtherWorkers": somebody_starts_rqs_worker,
    "KlarnaAckMixedVersions": a_worker_is_older,
    "KlarnaAckWorkersCrash": a_worker_dies,
    "KlarnaAckTaskHangs": a_task_hangs,
    "KlarnaAckOldOrder": waits_for(5),
    "KlarnaAckDeadlineNear": waits_for(37),
    "KlarnaAckDeadlinePassed": waits_for(49),
    "KlarnaAckDeadLetters": an_order_dies,
    "KlarnaAckAccountHeld": hold,
    "KlarnaAckAccountPaused": klarna_limits,
    "KlarnaAckAccountWrong": klarna_knows_no_order,
    "KlarnaAckAccountNotServed": raised(Alarm.ACCOUNT_NOT_SERVED),
    "KlarnaAckPushesNotReachingUs": raised(Alarm.PUSHES_NOT_REACHING_US),
    "KlarnaAckPushesRefused": wrong_tokens,
    "KlarnaAckPushesNotStored": redis_refuses_writes,
    "KlarnaAckIntakeSlow": intake_is_slow,
    "KlarnaAckRedisDoesNotPersist": lambda watched: watched.redis.config_set("appendonly", "no"),
    "KlarnaAckRedisFull": redis_is_nearly_full,
    "KlarnaAckUnreadable": lambda watched: watched.redis.set(keys.COUNTERS, "x"),
}

# What else is wrong then: an order past 37 h has waited for 4 h, too.
ALSO = {
    "KlarnaAckDeadlineNear": {"KlarnaAckOldOrder"},
    "KlarnaAckDeadlinePassed": {"KlarnaAckOldOrder"},
}


def samples(scraped: str) -> dict[str, float]:
    """Name each sample as promtool does, with its value; times are since the scrape."""
    found = {}
    for family in text_string_to_metric_families(scraped):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            is_time = family.name.endswith("_timestamp_seconds")
            passed = datetime.now(UTC).timestamp() if is_time else 0
            found[f"{sample.name}{{{labels}}}"] = sample.value - passed
    return found


def series(before: dict[str, float], after: dict[str, float]) -> list[dict[str, str]]:
    """Make what Prometheus would have stored.

    A worker that is well goes on with its tasks, and requests go on as those in between.
    """
    made = []
    for name in before.keys() | after.keys():
        first, then = before.get(name), after.get(name)
        offset = BEFORE_MIN * 60 if "_timestamp_seconds" in name else 0
        each = 60.0 if "last_success" in name and name in before else 0.0
        more = (then or 0) - (first or 0) if "_http_request_" in name else each
        start = "_" if first is None else f"{first:.3f}{each:+.3f}"
        end = (
            f"stale _x{AFTER_MIN}"
            if then is None
            else f"{then + offset:.3f}{more:+.3f}x{AFTER_MIN}"
        )
        values = f"{start}x{BEFORE_MIN - 1} {end}"
        made.append({"series": name, "values": values})
    return made


def firing(promtool: str, where: Path, made: list[dict[str, str]], expected: set[str]) -> str:
    """Ask promtool whether just these alerts fired; return what it says against it."""
    wanted = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(expected)]
    ever = 'group by (alertname) (max_over_time(ALERTS{alertstate="firing"}[90m]))'
    question = {"expr": ever, "eval_time": f"{BEFORE_MIN + AFTER_MIN - 1}m", "exp_samples": wanted}
    case = {"interval": "1m", "input_series": made, "promql_expr_test": [question]}
    file = where / "case.yaml"  # JSON is YAML
    file.write_text(json.dumps({"rule_files": [str(RULES)], "tests": [case]}))
    run = subprocess.run(
        [promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    return "" if run.returncode == 0 else run.stdout + run.stderr


@pytest.fixture
def promtool(debian_tool: Callable[[str, str], str]) -> str:
    return debian_tool("promtool", "prometheus")


@pytest.mark.parametrize("name", BROKEN)
def test_it_fires_when_the_real_thing_is_broken(
    name: str, watched: ScrapedService, promtool: str, tmp_path: Path
) -> None:
    assert watched.push() == 200
    put(watched.ledger, State.ACKNOWLEDGED, now=datetime.now(UTC))
    before = samples(watched.scrape())
    BROKEN[name](watched)
    after = samples(watched.scrape())

    made = series(before, after)

    assert firing(promtool, tmp_path, made, {name} | ALSO.get(name, set())) == ""


def test_none_fires_while_all_is_well(
    watched: ScrapedService, promtool: str, tmp_path: Path
) -> None:
    before = samples(watched.scrape())
    assert watched.push() == 200
    put(watched.ledger, State.ACKNOWLEDGED, now=datetime.now(UTC))
    after = samples(watched.scrape())

    assert firing(promtool, tmp_path, series(before, after), set()) == ""


def test_it_fires_when_nothing_is_scraped(promtool: str, tmp_path: Path) -> None:
    assert firing(promtool, tmp_path, [], {"KlarnaAckNotScraped"}) == ""


@pytest.mark.parametrize(("lag_s", "expected"), [(30, {"KlarnaAckRedisReplicaLags"}), (1, set())])
def test_it_fires_when_a_replica_lags(
    lag_s: int, expected: set[str], watched: ScrapedService, promtool: str, tmp_path: Path
) -> None:
    before = samples(watched.scrape())
    lag = {"klarna_ack_redis_replica_lag_seconds{}": float(lag_s)}

    assert firing(promtool, tmp_path, series(before, before | lag), expected) == ""


def test_each_alert_is_tested_and_has_its_place_in_the_runbook() -> None:
    assert {*BROKEN, "KlarnaAckNotScraped", "KlarnaAckRedisReplicaLags"} == set(NAMES)
    headings = re.findall(r"^### `(KlarnaAck\w+)`$", RUNBOOK.read_text(), re.MULTILINE)
    assert headings == NAMES
    links = re.findall(r"runbook: (\S+)", RULES.read_text())
    assert links == [f"docs/runbook.md#{name.lower()}" for name in NAMES]
