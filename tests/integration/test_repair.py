"""What somebody deletes, adds or loses in Redis is made to agree with the records again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer
from structlog.testing import capture_logs

from pushes.model import Lane, Push, PushKey, Reason, State
from pushes.read import dead_letters, overview
from pushes.store import counters, indexes, keys, records, rq_job
from pushes.store.ledger import Ledger
from pushes.store.repair import shapes
from pushes.store.repair.differences import Difference, DifferenceKind
from pushes.store.repair.sweep import Sweep
from tests.builders import NOW, ScriptedAcknowledger, a_key, pop, put, worker_parts
from tests.integration.test_cli_support import answer, run
from worker.periodic.recovery import Recovery


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def in_every_state(ledger: Ledger) -> dict[State, Push]:
    """One order in each state; the queued one last, since the others are popped on their way."""
    order = sorted(State, key=lambda state: state is State.QUEUED)
    return {state: put(ledger, state) for state in order}


def everything(redis: Redis) -> dict[str, Any]:
    """All that Redis holds, but for what is written to look at it."""
    names = sorted(str(name, "utf-8") for name in cast(list[bytes], redis.keys("*")))
    return {name: redis.dump(name) for name in names if name != keys.COUNTERS}


def memberships(redis: Redis) -> dict[str, set[bytes]]:
    """Who stands in which sorted set, ours and RQ's."""
    names = [str(name, "utf-8") for name in cast(list[bytes], redis.keys("*"))]
    sets = [name for name in names if redis.type(name) == b"zset"]
    return {name: set(cast(list[bytes], redis.zrange(name, 0, -1))) for name in sets}


def swept(ledger: Ledger, *, dry_run: bool = False) -> list[Difference]:
    """What one whole round finds."""
    sweep = Sweep(ledger, dry_run=dry_run)
    found: list[Difference] = []
    while not sweep.is_round_over:
        found += sweep.step(NOW)
    return list(dict.fromkeys(found + sweep.finish(NOW)))


def kinds(found: list[Difference]) -> set[DifferenceKind]:
    return {one.kind for one in found}


def test_it_finds_nothing_where_everything_agrees(ledger: Ledger) -> None:
    in_every_state(ledger)
    pop(ledger)  # one that a worker has just taken
    put(ledger, State.QUEUED)
    before = everything(ledger.redis)

    assert swept(ledger) == []
    assert everything(ledger.redis) == before


def of_our_indexes(redis: Redis) -> list[str]:
    return [name for name in memberships(redis) if shapes.is_index(name)]


@pytest.mark.parametrize("state", [state for state in State if state is not State.QUEUED])
def test_it_takes_phantoms_out_of_every_index_when_a_record_is_deleted(
    ledger: Ledger, state: State
) -> None:
    gone = put(ledger, state)
    neighbours = in_every_state(ledger)
    before_it = swept(ledger)
    ledger.redis.delete(keys.record(gone.key), keys.timeline(gone.key))

    found = swept(ledger)

    assert before_it == []
    assert kinds(found) == {DifferenceKind.PHANTOM}
    assert {one.key for one in found} == {gone.key}
    member = keys.job_id(gone.key).encode()
    assert [name for name, held in memberships(ledger.redis).items() if member in held] == []
    assert overview.counts(ledger, NOW) == dict.fromkeys(State, 1)
    assert len(neighbours) == len(State)
    assert swept(ledger) == []
    assert counters.totals(ledger.redis) == {"index_repaired": len(found)}


def test_a_job_whose_record_was_deleted_is_an_order_for_a_worker_to_look_at(
    ledger: Ledger,
) -> None:
    push = put(ledger, State.QUEUED)
    ledger.redis.delete(keys.record(push.key), keys.timeline(push.key))

    assert swept(ledger) == []
    worker = worker_parts(ledger.redis)
    worker.starter.start(worker.claims.claim(1).claims)

    again = records.get(ledger.redis, push.key)
    assert again
    assert again.state is State.QUEUED
    assert swept(ledger) == []


@pytest.mark.parametrize("state", [state for state in State if state is not State.RUNNING])
def test_it_puts_orders_back_into_indexes_that_were_deleted(ledger: Ledger, state: State) -> None:
    for _ in range(3):
        put(ledger, state)
    before, in_rq = memberships(ledger.redis), rq_says(ledger)
    ledger.redis.delete(*of_our_indexes(ledger.redis))

    found = swept(ledger)

    assert kinds(found) <= {DifferenceKind.MISSING, DifferenceKind.ORPHAN}
    if state is not State.QUEUED:  # for which the order of serving was lost, too
        kept = {name: held for name, held in before.items() if name != keys.RESENDS}
        assert memberships(ledger.redis) == kept
    assert rq_says(ledger) == in_rq
    assert overview.counts(ledger, NOW)[state] == 3
    assert swept(ledger) == []


@pytest.mark.parametrize("by", ["the workers", "an operator"])
def test_dead_letters_from_before_their_index_are_put_into_it(
    ledger: Ledger, redis_url: str, by: str
) -> None:
    dead = {put(ledger, State.DEAD).key for _ in range(3)}
    before = dead_letters.by_reason(ledger.redis)
    (reason,) = (reason for reason, count in before.items() if count)
    ledger.redis.delete(keys.dead_of(reason))
    assert set(dead_letters.by_reason(ledger.redis).values()) == {0}

    if by == "the workers":
        recovery = Recovery(ledger)
        for _ in range(100):
            recovery.scan(NOW)
    else:
        assert run(redis_url, "repair").exit_code == 0

    assert dead_letters.by_reason(ledger.redis) == before
    page = dead_letters.page(ledger.redis, dead_letters.Filter(reason=reason))
    assert {push.key for push in page.items} == dead
    assert swept(ledger) == []


def test_a_running_order_that_no_index_names_is_recovered_like_any_other(ledger: Ledger) -> None:
    push = put(ledger, State.RUNNING)
    ledger.redis.delete(keys.index(State.RUNNING))
    recovery, late = Recovery(ledger), NOW + timedelta(minutes=1)

    for _ in range(2):
        recovery.scan(late)

    after = records.get(ledger.redis, push.key)
    assert after
    assert (after.state, after.crashes) == (State.RETRYING, 1)


def test_a_waiting_record_without_job_and_index_is_found(ledger: Ledger) -> None:
    """As a commit that was half made left it: the record alone."""
    half = put(ledger, State.QUEUED)
    content = ledger.redis.dump(keys.record(half.key))
    assert content
    ledger.redis.flushdb()
    ledger.redis.restore(keys.record(half.key), 0, content)
    recovery = Recovery(ledger)

    for _ in range(2):
        recovery.scan(NOW)

    assert ledger.rq.queue.get_job_ids() == [keys.job_id(half.key)]
    assert overview.counts(ledger, NOW)[State.QUEUED] == 1
    worker = worker_parts(ledger.redis)
    attempts = worker.starter.start(worker.claims.claim(5).claims)
    worker.settler.settle([ScriptedAcknowledger().run(attempt) for attempt in attempts])
    after = records.get(ledger.redis, half.key)
    assert after
    assert after.state is State.ACKNOWLEDGED
    assert counters.totals(ledger.redis)["orphan_requeued"] == 1


Tool = Callable[[Ledger, Push], object]


def fetch(ledger: Ledger, push: Push) -> Job:
    job_id = keys.job_id(push.key)
    return Job.fetch(job_id, connection=ledger.redis, serializer=JSONSerializer)


def rq_empty(ledger: Ledger, _push: Push) -> None:
    Queue(rq_job.QUEUE, connection=ledger.redis, serializer=JSONSerializer).empty()  # type: ignore[no-untyped-call]


def queue_remove(ledger: Ledger, push: Push) -> None:
    ledger.rq.queue.remove(keys.job_id(push.key))


def rq_worker(ledger: Ledger, _push: Push) -> None:
    from rq import Worker  # noqa: PLC0415 - it looks at the terminal when it is imported

    worker = Worker([rq_job.QUEUE], connection=ledger.redis, serializer="json")
    worker.work(burst=True, logging_level="CRITICAL")


TOOLS: dict[str, Tool] = {
    "rq empty": rq_empty,
    "rq worker": rq_worker,
    "job.cancel()": lambda ledger, push: fetch(ledger, push).cancel(),
    "job.delete()": lambda ledger, push: fetch(ledger, push).delete(),
    "queue.remove()": queue_remove,
}


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_it_mends_and_counts_what_rqs_tools_removed_while_no_worker_ran(
    ledger: Ledger, tool: Tool
) -> None:
    push = put(ledger, State.QUEUED)
    tool(ledger, push)
    recovery = Recovery(ledger)

    with capture_logs() as logged:
        for _ in range(2):  # within ten seconds
            recovery.scan(NOW)

    events = [line["event"] for line in logged if line["log_level"] != "info"]
    assert events.count("push.orphan_requeued") == 1
    assert counters.totals(ledger.redis)["orphan_requeued"] == 1
    assert rq_says(ledger) == {"queue": 1}
    assert swept(ledger) == []


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_a_worker_that_claims_such_a_job_mends_and_counts_it(ledger: Ledger, tool: Tool) -> None:
    push = put(ledger, State.QUEUED)
    tool(ledger, push)
    worker = worker_parts(ledger.redis)

    with capture_logs() as logged:
        for _ in range(2):  # one whose job is gone is queued again first
            attempts = worker.starter.start(worker.claims.claim(1).claims)
            worker.settler.settle([ScriptedAcknowledger().run(one) for one in attempts])

    after = records.get(ledger.redis, push.key)
    assert after
    assert after.state is State.ACKNOWLEDGED
    assert [line["event"] for line in logged].count("push.orphan_requeued") == 1
    assert counters.totals(ledger.redis)["orphan_requeued"] == 1
    assert rq_says(ledger) == {"finished": 1}
    assert swept(ledger) == []


def rq_says(ledger: Ledger) -> dict[str, int]:
    """Every number that RQ has about our queue and that is not 0."""
    queue = ledger.rq.queue
    counts = {
        "queue": queue.count,
        "popped": int(ledger.redis.llen(queue.intermediate_queue_key)),
    }
    for name in ("started", "scheduled", "finished", "failed", "deferred", "canceled"):
        registry = getattr(queue, f"{name}_job_registry")
        counts[name] = registry.get_job_count(cleanup=False)
    return {name: count for name, count in counts.items() if count}


def test_it_makes_the_job_of_a_dead_letter_anew(ledger: Ledger) -> None:
    push = put(ledger, State.DEAD)
    fetch(ledger, push).delete()
    assert rq_says(ledger) == {}

    found = swept(ledger)

    assert kinds(found) == {DifferenceKind.JOBLESS}
    assert rq_says(ledger) == {"failed": 1}
    assert fetch(ledger, push).is_failed
    after = records.get(ledger.redis, push.key)
    assert after
    assert (after.state, after.reason) == (State.DEAD, Reason.NO_SUCH_ORDER)
    assert swept(ledger) == []


def test_it_takes_out_what_is_no_order(ledger: Ledger) -> None:
    push = put(ledger, State.DEAD)
    for place in (keys.index(State.DEAD), keys.UNACKNOWLEDGED, keys.unknown("default")):
        ledger.redis.zadd(place, {b"\xff": 1, b"rubbish": 2})

    found = swept(ledger)

    assert [one.kind for one in found] == [DifferenceKind.FOREIGN] * 6
    assert swept(ledger) == []
    assert indexes.members(ledger.redis, State.DEAD) == [push.key]


INDEXES = [
    *(keys.index(State.DEAD), keys.UNACKNOWLEDGED),
    keys.dead_letters("default", Reason.REJECTED),
]


@pytest.mark.parametrize(
    "name", [*INDEXES, keys.ACCOUNTS, keys.hold("default"), "rq:queue:klarna-ack"]
)
def test_it_sets_a_shared_key_of_a_wrong_type_aside(
    ledger: Ledger, redis_url: str, name: str
) -> None:
    pushes = [put(ledger, state) for state in (State.DEAD, State.ACKNOWLEDGED)]
    ledger.redis.delete(name)
    ledger.redis.set(name, "rubbish")

    result = run(redis_url, "repair", "--json")

    found = answer(result)["found"]
    assert found["wrong_type"] == 1
    assert ledger.redis.get(keys.unreadable(name)) == b"rubbish"
    assert answer(run(redis_url, "repair", "--json"))["items"] == []
    for push in pushes:
        for place in indexes.places(push):
            assert ledger.redis.zscore(place, keys.job_id(push.key)) is not None
    assert ledger.accept(a_key(), NOW).state is State.QUEUED


@pytest.mark.parametrize("place", [keys.WORK, keys.WORK_ARRIVED, keys.HELD_ACCOUNTS, keys.HOLDS])
def test_an_account_that_was_lost_from_a_list_is_served_again(ledger: Ledger, place: str) -> None:
    worker = worker_parts(ledger.redis)
    held, queued = put(ledger, State.HELD), put(ledger, State.QUEUED)
    worker.claims.claim(0)  # so that the account stands where it is looked for
    ledger.redis.delete(keys.WORK, keys.WORK_ARRIVED, place)

    found = swept(ledger)

    assert kinds(found) <= {DifferenceKind.FORGOTTEN}
    taken = worker.claims.claim(5).claims
    assert [claim.key for claim in taken] == [queued.key]
    assert ledger.redis.sismember(keys.HELD_ACCOUNTS, held.key.account)


def test_a_dry_run_finds_the_same_and_changes_nothing(ledger: Ledger, redis_url: str) -> None:
    pushes = in_every_state(ledger)
    spoil(ledger, pushes)
    before = everything(ledger.redis)

    dry = answer(run(redis_url, "repair", "--dry-run", "--json"))
    unchanged = everything(ledger.redis)
    with capture_logs() as logged:
        wet = answer(run(redis_url, "repair", "--json"))

    assert [line["event"] for line in logged] == ["record.quarantined"]
    assert unchanged == before
    assert (dry["dry_run"], wet["dry_run"]) == (True, False)
    assert {kind for kind, count in dry["found"].items() if count} == {
        *("phantom", "missing", "orphan", "unreadable", "foreign"),
    }
    assert {kind for kind, count in wet["found"].items() if count} >= {
        kind for kind, count in dry["found"].items() if count
    }
    assert answer(run(redis_url, "repair", "--json"))["items"] == []


def spoil(ledger: Ledger, pushes: dict[State, Push]) -> None:
    """Do a bit of everything."""
    ledger.redis.delete(keys.record(pushes[State.ACKNOWLEDGED].key))
    ledger.redis.zrem(keys.index(State.DEAD), keys.job_id(pushes[State.DEAD].key))
    ledger.redis.zrem(
        ledger.rq.queue.scheduled_job_registry.key, keys.job_id(pushes[State.RETRYING].key)
    )
    ledger.redis.hset(keys.record(pushes[State.HELD].key), "state", "asleep")
    ledger.redis.zadd(keys.UNACKNOWLEDGED, {"rubbish": 1})


def test_it_says_what_it_found_and_did(ledger: Ledger, redis_url: str) -> None:
    spoil(ledger, in_every_state(ledger))

    dry = run(redis_url, "repair", "--dry-run")
    with capture_logs():
        wet = run(redis_url, "repair")
    again = run(redis_url, "repair")

    assert [result.exit_code for result in (dry, wet, again)] == [0, 0, 0]
    assert DifferenceKind.PHANTOM.sentence in dry.stdout
    assert "Nothing was changed." in dry.stdout
    assert "All of it is mended" in wet.stdout
    assert again.stdout == "Everything agrees. Nothing was changed.\n"


def test_each_step_is_small_however_much_there_is(ledger: Ledger) -> None:
    """A whole scan never happens by itself: with a million orders, too, a step asks for little."""
    pipeline = ledger.redis.pipeline(transaction=False)
    for number in range(20_000):
        member = f"default_{number:08x}-1111-6222-a333-444455556666"
        for place in (keys.index(State.QUEUED), keys.index(State.HELD), keys.UNACKNOWLEDGED):
            pipeline.zadd(place, {member: number})
    pipeline.execute()
    sweep = Sweep(ledger)
    asked: list[int] = []

    for _ in range(5):
        ledger.redis.config_resetstat()
        sweep.step(NOW)
        calls = {
            name.removeprefix("cmdstat_"): facts["calls"]
            for name, facts in ledger.redis.info("commandstats").items()
        }
        asked.append(sum(calls.values()))
        assert "smembers" not in calls
        assert "keys" not in calls

    assert max(asked) < 10_000


def test_it_goes_on_where_redis_went_away(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = [put(ledger, State.DEAD) for _ in range(3)]
    for push in gone:
        ledger.redis.delete(keys.record(push.key))
    sweep, failures = Sweep(ledger), iter([True, True, False])
    read = records.get_many

    def sometimes(redis: Redis, wanted: list[PushKey]) -> list[Push | None]:
        if next(failures, False):
            raise ConnectionError
        return read(redis, wanted)

    monkeypatch.setattr(records, "get_many", sometimes)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            sweep.step(NOW)
    while not sweep.is_round_over:
        sweep.step(NOW)

    assert indexes.members(ledger.redis, State.DEAD) == []


BY_ACCOUNT = (
    *(keys.held, keys.hold, keys.resumed, keys.failing, keys.limited, keys.sources),
    *(keys.unknown, keys.unknown_in_a_row, keys.quota),
)


def test_every_key_of_ours_has_a_type() -> None:
    """But for those of one order, which are looked at with its record."""
    constants = [str(value) for name, value in vars(keys).items() if name.isupper()]
    made = [
        *(make("an-account") for make in BY_ACCOUNT),
        keys.index(State.DEAD),
        keys.ready("an-account", Lane.FRESH),
        keys.dead_letters("an-account", Reason.REJECTED),
        keys.dead_of(Reason.REJECTED),
        keys.shares("digest"),
        keys.resends_counted(1),
        keys.refused_lately(1),
        *(keys.alarm("a-word"), keys.session("digest"), keys.sign_in_link("digest")),
        *(keys.references("call", 1), keys.settled_references(1, "call", 1), keys.calls(1, 1)),
        keys.cause("an-account", Reason.REJECTED, None),
    ]
    ours = {name for name in (*constants, *made) if name.startswith(f"{keys.PREFIX}:")}
    ours.remove(keys.SIGN_IN_ATTEMPTS)  # a library's own
    assert [name for name in ours if shapes.type_of(name) is None] == []
    assert shapes.type_of(keys.record(a_key())) is None
