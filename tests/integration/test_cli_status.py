import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from redis import Redis
from rq.suspension import suspend
from rq.worker import SimpleWorker

from devtools.local.embedded import EmbeddedServer
from pushes import life
from pushes.accounts.holds import Holds
from pushes.model import HoldReason, PushKey, Reason, State
from pushes.policy import SUSPICIOUS_UNKNOWN
from pushes.read import views
from pushes.read.alarms import Alarm, set_off
from pushes.store import keys
from pushes.store.counted import refusals
from pushes.store.counted.refusals import RefusalReason
from pushes.store.ledger import Ledger
from tests.builders import NOW, a_key, put
from tests.integration.test_cli_support import (
    NOW_TEXT,
    after,
    answer,
    at,
    dead,
    everything,
    run,
    two_accounts,
)


@pytest.fixture
def ledger(redis_client: "Redis") -> Ledger:
    return Ledger(redis_client)


def be_born(worker: SimpleWorker) -> None:
    worker.register_birth()  # type: ignore[no-untyped-call]  # RQ gives it no types


def say_goodbye(worker: SimpleWorker) -> None:
    worker.register_death()  # type: ignore[no-untyped-call]  # RQ gives it no types


@pytest.fixture
def worker(ledger: Ledger) -> Iterator[SimpleWorker]:
    """A worker that RQ knows, and that says it is ours; it does no work."""
    worker = SimpleWorker([ledger.rq.queue], connection=ledger.redis)
    be_born(worker)
    ledger.redis.hset(worker.key, keys.WORKER_VERSION_FIELD, "0.1.0")
    yield worker
    say_goodbye(worker)


def hold(ledger: Ledger, key: PushKey, why: HoldReason) -> None:
    put(ledger, State.RUNNING, key)
    Holds(ledger.redis, lambda: after(0)).begin(key.account, why, "HTTP 503")
    assert ledger.advance(key, lambda push: life.held(push, why, after(0), "HTTP 503"))


def status(redis_url: str, **env: str) -> object:
    with at():
        return answer(run(redis_url, "status", "--json", **env))


def account(**states: int) -> dict[str, object]:
    """What the status shows of an account that is not held."""
    return {
        "held": None,
        "cause": None,
        "since": None,
        "by": None,
        "probe_at": None,
        "paused_until": None,
        "pause_cause": None,
        "unknown_in_a_row": 0,
        "unserved_since": None,
        "states": {str(state): states.get(state, 0) for state in State if not state.is_settled},
        "states_partial": False,
    }


def held(reason: str, **states: int) -> dict[str, object]:
    """What the status shows of an account that `hold` has held."""
    first_s = {"outage": 5, "credentials": 60}[reason]
    return {
        **account(**states),
        "held": reason,
        "cause": "HTTP 503",
        "since": views.instant(after(0)),
        "probe_at": views.instant(after(0) + timedelta(seconds=first_s)),
    }


def at_risk(**orders: int) -> list[dict[str, object]]:
    """The groups, by `under_24` and the like; no order's amount is known."""
    return [
        {
            "under_h": hours,
            "orders": (known := orders.get(f"under_{hours}", 0)),
            "amounts": {},
            "amount_unknown": known,
            "amounts_partial": False,
        }
        for hours in (24, 12, 4, 0)
    ]


NO_STATES = dict.fromkeys((str(state) for state in State), 0)
NO_REASONS = dict.fromkeys((str(reason) for reason in Reason), 0)
NOTHING = {
    "read_at": NOW_TEXT,
    "states": NO_STATES,
    "dead_by_reason": NO_REASONS,
    "oldest_waiting_s": None,
    "workers": 0,
    "other_workers": 0,
    "skewed_workers": 0,
    "suspended": False,
    "accounts": {"default": account()},
    "at_risk": at_risk(),
    "alarms": [],
    "refused": [],
    "unreadable": [],
}


def test_it_shows_every_state_of_an_empty_system(redis_url: str) -> None:
    assert status(redis_url) == NOTHING


def test_it_counts_what_is_in_each_state_and_how_long_the_oldest_waits(
    ledger: Ledger, redis_url: str
) -> None:
    for state in State:
        put(ledger, state, now=after(-5))
    put(ledger, State.RETRYING, now=after(-90))
    put(ledger, State.DEAD, now=after(-900))
    Holds(ledger.redis, lambda: after(0)).begin("default", HoldReason.CREDENTIALS, "HTTP 503")
    assert status(redis_url) == NOTHING | {
        "states": {**dict.fromkeys(map(str, State), 1), "retrying": 2, "dead": 2},
        "dead_by_reason": {**NO_REASONS, "no_such_order": 2},
        "oldest_waiting_s": 5400.0,
        "accounts": {
            "default": held("credentials", queued=1, running=1, retrying=2, held=1, dead=2)
        },
    }


def test_it_tells_what_is_dead_by_its_reason(ledger: Ledger, redis_url: str) -> None:
    for reason in (Reason.REJECTED, Reason.REJECTED, Reason.CRASH_LOOP):
        dead(ledger, reason=reason)

    shown = run(redis_url, "status").stdout

    (table,) = [block for block in shown.split("\n\n") if block.startswith("dead because")]
    rejected, crash_loop = [line.split() for line in table.splitlines()[1:]]
    assert rejected[:3] == ["rejected", "2", "Klarna"]
    assert crash_loop[:2] == ["crash_loop", "1"]


def test_it_names_the_configured_accounts_and_those_of_the_ledger(
    ledger: Ledger, redis_url: str, tmp_path: Path
) -> None:
    put(ledger, State.ACKNOWLEDGED, a_key("closed-shop"))
    hold(ledger, a_key("eu"), HoldReason.OUTAGE)
    assert status(redis_url, ACCOUNTS_FILE=two_accounts(tmp_path)) == NOTHING | {
        "states": {**NO_STATES, "acknowledged": 1, "held": 1},
        "oldest_waiting_s": 0.0,
        "accounts": {"closed-shop": account(), "eu": held("outage", held=1), "us": account()},
    }


def test_it_sees_an_account_held_behind_another_with_many(ledger: Ledger, redis_url: str) -> None:
    for _ in range(5):
        hold(ledger, a_key("eu"), HoldReason.OUTAGE)
    hold(ledger, a_key("us"), HoldReason.CREDENTIALS)
    shown = status(redis_url)
    assert isinstance(shown, dict)
    assert shown["accounts"] == {
        "default": account(),
        "eu": held("outage", held=5),
        "us": held("credentials", held=1),
    }


def test_it_counts_a_worker_that_cannot_acknowledge_apart(
    redis_client: "Redis", redis_url: str
) -> None:
    be_born(SimpleWorker(["klarna-ack"], connection=redis_client))
    assert status(redis_url) == NOTHING | {"workers": 0, "other_workers": 1}
    assert run(redis_url, "status").stdout.endswith(
        "\n\nNo worker is alive, so nothing is acknowledged: start `python -m worker`.\n\n"
        "1 of the workers on the queue are `rq worker`, which takes orders and cannot acknowledge"
        " them: stop them.\n"
    )


@pytest.mark.usefixtures("worker")
def test_it_tells_that_the_workers_are_suspended(redis_client: "Redis", redis_url: str) -> None:
    suspend(redis_client)
    assert status(redis_url) == NOTHING | {"workers": 1, "suspended": True}
    assert run(redis_url, "status").stdout.endswith(
        "\n\n`rq suspend` keeps the workers from taking orders, so nothing is acknowledged:"
        ' `rq resume --url "$REDIS_URL"` lets them go on.\n'
    )


@pytest.mark.usefixtures("worker")
def test_it_counts_a_worker_on_our_queue(redis_url: str) -> None:
    assert answer(run(redis_url, "status", "--json"))["workers"] == 1


def test_it_counts_no_worker_of_another_queue(redis_client: "Redis", redis_url: str) -> None:
    worker = SimpleWorker(["somebody-elses"], connection=redis_client)
    be_born(worker)
    assert answer(run(redis_url, "status", "--json"))["workers"] == 0


def test_it_counts_no_worker_that_said_goodbye(worker: SimpleWorker, redis_url: str) -> None:
    say_goodbye(worker)
    assert answer(run(redis_url, "status", "--json"))["workers"] == 0


def test_it_counts_no_worker_that_missed_its_heartbeats(
    worker: SimpleWorker, redis_client: "Redis", redis_url: str
) -> None:
    redis_client.expire(worker.key, 60)  # what is left when the last one is its ttl ago
    assert answer(run(redis_url, "status", "--json"))["workers"] == 0


def test_it_counts_no_worker_whose_entry_is_gone(
    worker: SimpleWorker, redis_client: "Redis", redis_url: str
) -> None:
    redis_client.delete(worker.key)
    assert answer(run(redis_url, "status", "--json"))["workers"] == 0


def test_it_writes_nothing_even_when_a_lease_has_lapsed(
    ledger: Ledger, redis_client: "Redis", redis_url: str
) -> None:
    put(ledger, State.RUNNING)
    registry = ledger.rq.queue.started_job_registry.key
    (execution,) = cast(list[bytes], redis_client.zrange(registry, 0, -1))
    redis_client.zadd(registry, {execution: 1})  # RQ's own counting would clean it up
    put(ledger, State.QUEUED)
    dead(ledger)
    before = everything(redis_client)
    assert run(redis_url, "status").exit_code == 0
    assert answer(run(redis_url, "status", "--json"))["states"]["running"] == 1
    assert everything(redis_client) == before


def test_it_is_aligned_text_when_piped(ledger: Ledger, redis_url: str) -> None:
    put(ledger, State.HELD, now=after(-125))
    holds = Holds(ledger.redis, lambda: after(-120))
    holds.begin("default", HoldReason.CREDENTIALS, "Klarna says 401.")
    with at():
        result = run(redis_url, "status")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "state         pushes  meaning\n"
        "queued        0       Waiting for a worker.\n"
        "running       0       An attempt is under way.\n"
        "retrying      0       The last attempt failed; the next one has a time.\n"
        "held          1       Its account is paused; it waits and spends no attempt.\n"
        "acknowledged  0       Klarna said 2xx to acknowledge.\n"
        "not_needed    0       The order is cancelled, expired or closed: nothing to"
        " acknowledge.\n"
        "dead          0       An operator decides.\n"
        "\n"
        "Work\n"
        "oldest waiting order first pushed  2 h 5 min ago\n"
        "workers alive                      0\n"
        "\n"
        "account  waiting  dead  held         since                     next probe             "
        "   because\n"
        "default  1        0     credentials  2026-03-01T10:00:00.000Z  2026-03-01T10:01:00.000Z"
        "  Klarna says 401.\n"
        "\n"
        "No worker is alive, so nothing is acknowledged: start `python -m worker`.\n"
    )


def test_it_shows_what_runs_out_of_time(ledger: Ledger, redis_url: str) -> None:
    put(ledger, State.RETRYING, now=after(-30 * 60))
    put(ledger, State.DEAD, now=after(-47 * 60))
    put(ledger, State.QUEUED, now=after(-49 * 60))
    with at():
        assert answer(run(redis_url, "status", "--json"))["at_risk"] == at_risk(
            under_24=2, under_12=1, under_4=1, under_0=1
        )
        shown = run(redis_url, "status").stdout
    assert (
        "\n\n"
        "not acknowledged, deadline  orders  amounts in minor units\n"
        "in less than 24 h           2       2 unknown\n"
        "in less than 12 h           1       1 unknown\n"
        "in less than 4 h            1       1 unknown\n"
        "passed                      1       1 unknown\n"
        "\n"
        "account  waiting  dead  held  since  next probe  because\n"
    ) in shown


def test_it_shows_that_pushes_do_not_reach_us(ledger: Ledger, redis_url: str) -> None:
    alarm = Alarm.PUSHES_NOT_REACHING_US
    set_off(ledger.redis, alarm, after(-20))
    assert answer(run(redis_url, "status", "--json"))["alarms"] == [
        {
            "name": "pushes_not_reaching_us",
            "since": "2026-03-01T11:40:00.000Z",
            "meaning": alarm.meaning,
            "action": alarm.action,
        }
    ]
    shown = run(redis_url, "status").stdout
    assert f"Alarm since 2026-03-01T11:40:00.000Z: {alarm.meaning} {alarm.action}\n" in shown


@pytest.mark.usefixtures("worker")
def test_it_has_no_warning_while_a_worker_is_alive(redis_url: str) -> None:
    result = run(redis_url, "status")
    assert result.stdout.endswith(
        "\n\nWork\n"
        "oldest waiting order first pushed  nothing waits\n"
        "workers alive                      1\n"
        "\n"
        "account  waiting  dead  held  since  next probe  because\n"
        "default  0        0     -     -      -           -\n"
    )


def interrupt() -> None:
    """What ctrl-c does to whoever sleeps."""
    raise KeyboardInterrupt


def let_happen(monkeypatch: pytest.MonkeyPatch, *happenings: Callable[[], object]) -> list[float]:
    """Let one of these happen in each pause of the watch; return how long the pauses were."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        happenings[len(slept) - 1]()

    monkeypatch.setattr("cli.output.watch.time", SimpleNamespace(sleep=sleep))
    return slept


def test_it_watches_until_ctrl_c_a_json_line_a_look(
    ledger: Ledger, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = let_happen(monkeypatch, lambda: put(ledger, State.QUEUED), interrupt)
    with at(after(1)):
        result = run(redis_url, "status", "--watch", "--json")
    assert (result.exit_code, result.stderr, slept) == (0, "", [2.0, 2.0])
    first, second = map(json.loads, result.stdout.splitlines())
    later = NOTHING | {"read_at": "2026-03-01T12:01:00.000Z"}
    assert first == later
    assert second == later | {
        "states": NO_STATES | {"queued": 1},
        "oldest_waiting_s": 60.0,
        "accounts": {"default": account(queued=1)},
    }


def test_it_watches_in_text_too(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    once = run(redis_url, "status").stdout
    let_happen(monkeypatch, lambda: None, interrupt)
    result = run(redis_url, "status", "--watch")
    assert (result.exit_code, result.stdout) == (0, f"{once}\n\n{once}\n\n")


def test_it_waits_for_a_redis_that_goes_away_while_it_watches(
    redis_url: str, valkey: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_happen(monkeypatch, valkey.kill, lambda: None, valkey.restart, interrupt)
    result = run(redis_url, "status", "--watch", "--json")
    assert (result.exit_code, result.stdout.count("\n")) == (0, 2)
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("Redis does not answer (ConnectionError: ")
    assert result.stderr.endswith("): waiting for it to come back.\n")


def test_it_fails_at_once_when_redis_is_away_from_the_beginning(
    redis_url: str, valkey: EmbeddedServer
) -> None:
    valkey.kill()
    result = run(redis_url, "status", "--watch")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "nothing was changed, and accepted pushes are safe in Redis." in result.stderr


def test_it_leaves_out_what_settled_long_ago(ledger: Ledger, redis_url: str) -> None:
    put(ledger, State.ACKNOWLEDGED, now=after(0) - timedelta(days=31))
    shown = status(redis_url)
    assert isinstance(shown, dict)
    assert shown["states"] == NO_STATES


def test_it_names_an_account_that_is_probably_the_wrong_one(ledger: Ledger, redis_url: str) -> None:
    for _ in range(SUSPICIOUS_UNKNOWN):
        Holds(ledger.redis).unknown("default")

    shown = run(redis_url, "status").stdout

    assert (
        "Klarna knew none of the last 20 orders of the account default: probably the wrong region"
        " or account, or made-up pushes.\n"
    ) in shown


def test_it_tells_which_pushes_were_refused(redis_client: Redis, redis_url: str) -> None:
    refusals.add(
        redis_client,
        {("se", RefusalReason.WRONG_TOKEN): 12, (None, RefusalReason.UNKNOWN_ACCOUNT): 1},
        NOW,
    )

    with at():
        shown = run(redis_url, "status").stdout

    assert re.search(r"^se +wrong_token +12 +Its URL carries no token", shown, re.MULTILINE)
    assert re.search(r"unknown_account +1 +Its URL names an account", shown)
