from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from redis import Redis

from pushes import life
from pushes.model import PushKey, Reason, State
from pushes.operate import replay
from pushes.operate.runs import executor, steer
from pushes.operate.runs.executor import RunExecutor
from pushes.operate.runs.steer import Preview, RunRefusedError, RunRequest
from pushes.read import dead_letters, runs
from pushes.read.audit import AuditEntry, AuditResult
from pushes.read.cursors import CursorError
from pushes.read.dead_letters import Filter
from pushes.read.runs import BulkRun, RunAction, RunState
from pushes.store import keys
from pushes.store.ledger import Ledger
from tests.builders import a_key, put
from tests.integration.test_cli_support import after, audited, counts, dead, die, events, take
from worker.periodic import prune

REPLAY = RunRequest(RunAction.REPLAY, "ops", "mended")
DISCARD = RunRequest(RunAction.DISCARD, "ops", "forged")
LATER = after(60)
ALL = Filter()


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def letters(ledger: Ledger, count: int, **how: object) -> list[PushKey]:
    return [dead(ledger, now=after(n), **how) for n in range(count)]  # type: ignore[arg-type]


def start(
    ledger: Ledger, order: RunRequest = REPLAY, wanted: Filter = ALL, now: datetime = LATER
) -> BulkRun:
    return steer.start(ledger.redis, order, wanted, now)


def get(ledger: Ledger, run: BulkRun) -> BulkRun:
    found = runs.get(ledger.redis, run.id)
    assert found
    return found


def work(ledger: Ledger, times: int = 10, now: datetime = LATER, holder: str = "w1") -> int:
    """Let a process go on so many times; return to how many orders something was done."""
    return sum(RunExecutor(ledger, holder).step(now) for _ in range(times))


def attempt(ledger: Ledger, key: PushKey, ending: State, now: datetime = LATER) -> None:
    """Let a worker attempt a replayed order."""
    assert ledger.advance(key, lambda push: life.started(push, "w", "c" * 32, now))
    if ending is State.DEAD:
        die(ledger, key, Reason.REJECTED, now)
    elif ending is State.ACKNOWLEDGED:
        assert ledger.advance(key, lambda push: life.acknowledged(push, now))
    else:
        assert ledger.advance(key, lambda push: life.not_needed(push, now))


def entry(action: str, result: AuditResult, run: BulkRun, **facts: object) -> AuditEntry:
    begun = AuditEntry(run.by, action, None, result, run.why, detail=f"run {run.id}")
    return replace(begun, **facts)  # type: ignore[arg-type]


def test_it_looks_before_it_starts(ledger: Ledger) -> None:
    found = letters(ledger, 12)
    dead(ledger, reason=Reason.CRASH_LOOP)
    sample = tuple(take(ledger, key) for key in found[:10])
    assert steer.preview(ledger.redis, Filter(Reason.REJECTED)) == Preview(12, sample)


def test_it_replays_what_matches_and_tells_what_came_of_each(ledger: Ledger) -> None:
    found = letters(ledger, 5)
    other = dead(ledger, reason=Reason.CRASH_LOOP)
    run = start(ledger, wanted=Filter(Reason.REJECTED))
    assert (run.total, run.state) == (5, RunState.RUNNING)
    replay.replay(ledger, found[0], by="else", why="quicker", now=LATER)  # no longer dead

    assert work(ledger) == 4
    assert get(ledger, run).state is RunState.FINISHING
    endings = [State.ACKNOWLEDGED, State.NOT_NEEDED, State.DEAD, State.ACKNOWLEDGED]
    for key, ending in zip(found[1:], endings, strict=True):
        assert take(ledger, key).state is State.QUEUED
        assert events(ledger, key)[-1] == ("replayed", "was rejected: mended", "ops")
        attempt(ledger, key, ending)
    work(ledger, 1)

    done = get(ledger, run)
    assert done.state is RunState.DONE
    assert runs.view(done)["results"] == {
        "acted": 4,
        "skipped": 1,
        "waiting": 0,
        "acknowledged": 2,
        "not_needed": 1,
        "dead_again": 1,
    }
    assert runs.active(ledger.redis) == []
    assert take(ledger, other).state is State.DEAD
    assert audited(ledger.redis)[-2:] == [
        entry("replay", AuditResult.BEGUN, run, orders=5),
        entry("replay", AuditResult.DONE, run, orders=4, refused=1),
    ]


def test_it_never_replays_the_same_letter_twice(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_PORTION", 1)
    found = letters(ledger, 3)
    run = start(ledger)
    for _ in range(8):
        work(ledger, 1)
        for key in found:
            if take(ledger, key).state is State.QUEUED:
                # Dead again, by a clock that is behind: it stands before the cursor's end again.
                attempt(ledger, key, State.DEAD, after(30))
    assert [[it[0] for it in events(ledger, key)].count("replayed") for key in found] == [1, 1, 1]
    done = get(ledger, run)
    assert (done.state, done.acted, done.results) == (RunState.DONE, 3, {State.DEAD: 3})


def test_it_leaves_alone_what_dies_after_the_start(ledger: Ledger) -> None:
    letters(ledger, 2)
    run = start(ledger)
    late = dead(ledger, now=LATER + timedelta(seconds=1))
    assert work(ledger, now=LATER + timedelta(seconds=2)) == 2
    assert (take(ledger, late).state, get(ledger, run).total) == (State.DEAD, 2)


def test_another_process_goes_on_where_one_died(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_PORTION", 2)
    letters(ledger, 5)
    run = start(ledger)
    assert work(ledger, 1, holder="w1") == 2
    assert work(ledger, 1, holder="w2") == 0  # the lock is held
    assert 0 < ledger.redis.ttl(keys.RUNS_LOCK) <= 5
    ledger.redis.delete(keys.RUNS_LOCK)  # as if it had lapsed
    assert work(ledger, holder="w2") == 3
    assert (get(ledger, run).acted, counts(ledger)) == (5, {"queued": 5})


def test_it_counts_right_when_a_process_dies_before_it_noted_where_it_was(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_PORTION", 2)
    letters(ledger, 4)
    run = start(ledger, replace(REPLAY, limit=3))
    monkeypatch.setattr(RunExecutor, "_remember", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        work(ledger, 1)
    monkeypatch.undo()
    assert work(ledger) == 1
    done = get(ledger, run)
    assert (done.acted, done.total, done.state) == (3, 3, RunState.FINISHING)


def test_it_ends_when_the_last_order_was_done_by_a_process_that_died(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters(ledger, 3)
    run = start(ledger, replace(REPLAY, limit=2))
    monkeypatch.setattr(RunExecutor, "_remember", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        work(ledger, 1)
    monkeypatch.undo()
    assert work(ledger) == 0
    assert (get(ledger, run).acted, get(ledger, run).state) == (2, RunState.FINISHING)


def test_it_keeps_to_its_rate(ledger: Ledger) -> None:
    letters(ledger, 30)
    run = start(ledger, replace(REPLAY, rate_per_s=4))
    done = [work(ledger, 1, LATER + timedelta(seconds=halves / 2)) for halves in range(7)]
    assert sum(done) in range(12, 15)
    assert max(done) <= 3
    steer.pause(ledger.redis, run.id, by="ops", why=None, now=LATER)
    steer.resume(ledger.redis, run.id, by="ops", why=None, now=LATER)
    assert work(ledger, 1, LATER + timedelta(hours=1)) <= 5  # it does not make up for an hour


def test_it_is_paused_resumed_and_cancelled(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_PORTION", 1)
    letters(ledger, 4)
    run = start(ledger)
    work(ledger, 1)
    assert steer.pause(ledger.redis, run.id, by="b", why="wait", now=LATER).state is RunState.PAUSED
    assert work(ledger) == 0
    with pytest.raises(RunRefusedError, match=f"Run {run.id} is paused: An operator paused it"):
        steer.pause(ledger.redis, run.id, by="b", why=None, now=LATER)
    steer.resume(ledger.redis, run.id, by="c", why=None, now=LATER)
    assert work(ledger, 1) == 1
    cancelled = steer.cancel(ledger.redis, run.id, by="d", why="enough", now=LATER)
    assert work(ledger) == 0
    assert (cancelled.state, cancelled.acted, cancelled.ended_at) == (RunState.CANCELLED, 2, LATER)
    assert counts(ledger) == {"queued": 2, "dead": 2}
    with pytest.raises(RunRefusedError, match="is cancelled"):
        steer.resume(ledger.redis, run.id, by="b", why=None, now=LATER)
    with pytest.raises(RunRefusedError, match="There is no run 'nothing'"):
        steer.cancel(ledger.redis, "nothing", by="b", why=None, now=LATER)
    assert audited(ledger.redis)[1:] == [
        entry("pause run", AuditResult.DONE, run, by="b", why="wait"),
        entry("resume run", AuditResult.DONE, run, by="c", why=None),
        entry("cancel run", AuditResult.DONE, run, by="d", why="enough"),
        entry("replay", AuditResult.INTERRUPTED, run, orders=2),
    ]


def test_it_discards_and_takes_that_back_within_a_day(ledger: Ledger) -> None:
    found = letters(ledger, 3)
    before = [take(ledger, key) for key in found]
    run = start(ledger, DISCARD)
    assert work(ledger) == 3
    assert (get(ledger, run).state, counts(ledger)) == (RunState.DONE, {})
    assert all(take(ledger, key).discarded for key in found)

    replay.replay(ledger, found[0], by="ops", why="it was none", now=LATER)
    undo = steer.undo(ledger.redis, run.id, by="ops", why="a mistake", now=after(120))
    assert (undo.action, undo.total, undo.undoes) == (RunAction.RESTORE, 3, run.id)
    assert work(ledger, now=after(120)) == 2

    done = get(ledger, undo)
    assert (done.state, done.acted, done.skipped) == (RunState.DONE, 2, 1)
    for key, old in zip(found[1:], before[1:], strict=True):
        now = take(ledger, key)
        assert now == replace(old, rev=now.rev, run=undo.id)
        assert events(ledger, key)[-1] == ("restored", "a mistake", "ops")
        assert ledger.redis.ttl(keys.record(key)) == -1
    page = dead_letters.page(ledger.redis, Filter())
    assert [push.key for push in page.items] == found[1:]
    failed = ledger.rq.queue.failed_job_registry
    assert set(failed.get_job_ids(cleanup=False)) == {keys.job_id(key) for key in found[1:]}


def test_it_takes_no_discard_back_after_a_day(ledger: Ledger) -> None:
    (key,) = letters(ledger, 1)
    run = start(ledger, DISCARD)
    work(ledger)
    assert 0 < ledger.redis.ttl(keys.run_discards(run.id)) <= 24 * 3600
    late = LATER + timedelta(days=1, seconds=1)
    steer.undo(ledger.redis, run.id, by="ops", why="late", now=late)
    assert work(ledger, now=late) == 0
    assert take(ledger, key).discarded
    ledger.redis.delete(keys.run_discards(run.id))  # as if it had expired
    with pytest.raises(RunRefusedError, match="has discarded nothing in the last 24 hours"):
        steer.undo(ledger.redis, run.id, by="ops", why="later", now=late)


def test_it_undoes_no_replay_and_nothing_that_still_goes_on(ledger: Ledger) -> None:
    letters(ledger, 1)
    with pytest.raises(RunRefusedError, match="only a discard can be undone"):
        steer.undo(ledger.redis, start(ledger).id, by="ops", why="x", now=LATER)
    with pytest.raises(RunRefusedError, match="cancel it first"):
        steer.undo(ledger.redis, start(ledger, DISCARD).id, by="ops", why="x", now=LATER)


def test_it_goes_through_a_selection(ledger: Ledger) -> None:
    found = letters(ledger, 4)
    waiting = put(ledger, State.RETRYING).key
    chosen = [found[3], waiting, a_key("nobody"), found[1]]
    run = steer.start_selected(ledger.redis, REPLAY, chosen, LATER)
    assert work(ledger) == 2
    attempt(ledger, found[3], State.ACKNOWLEDGED)
    attempt(ledger, found[1], State.ACKNOWLEDGED)
    work(ledger, 1)
    done = get(ledger, run)
    assert (done.total, done.acted, done.skipped, done.state) == (4, 2, 2, RunState.DONE)
    assert runs.view(done)["filter"] is None
    assert take(ledger, waiting).state is State.RETRYING


def test_two_runs_over_the_same_letters_share_them(ledger: Ledger) -> None:
    letters(ledger, 3)
    first, second = start(ledger), start(ledger)
    assert work(ledger) == 3
    assert get(ledger, first).acted + get(ledger, second).acted == 3


def test_it_keeps_within_what_somebody_may_see(ledger: Ledger) -> None:
    letters(ledger, 2, account="us")
    eu = letters(ledger, 2, account="eu")
    run = start(ledger, wanted=Filter(accounts=frozenset({"eu"})))
    assert (work(ledger), run.total) == (2, 2)
    assert [take(ledger, key).state for key in eu] == [State.QUEUED] * 2
    assert get(ledger, run).wanted == run.wanted


def test_it_waits_for_results_three_days_at_most(ledger: Ledger) -> None:
    letters(ledger, 1)
    run = start(ledger)
    work(ledger)
    work(ledger, now=LATER + timedelta(days=3))
    assert get(ledger, run).state is RunState.FINISHING
    work(ledger, now=LATER + timedelta(days=3, seconds=1))
    done = runs.view(get(ledger, run))
    assert (done["state"], done["results"]["waiting"]) == ("done", 1)


def test_it_counts_a_result_once_whatever_becomes_of_the_order_later(ledger: Ledger) -> None:
    (key,) = letters(ledger, 1)
    run = start(ledger)
    work(ledger)
    attempt(ledger, key, State.DEAD)
    ledger.accept(key, LATER + timedelta(minutes=6))  # revives it
    attempt(ledger, key, State.ACKNOWLEDGED, LATER + timedelta(minutes=7))
    assert get(ledger, run).results == {State.DEAD: 1}
    assert take(ledger, key).run is None


def test_it_lists_runs_a_page_at_a_time(ledger: Ledger) -> None:
    started = [start(ledger, now=after(n)).id for n in range(5)][::-1]
    first = runs.page(ledger.redis, limit=2)
    second = runs.page(ledger.redis, limit=2, cursor=first.next_cursor)
    third = runs.page(ledger.redis, limit=2, cursor=second.next_cursor)
    assert [run.id for page in (first, second, third) for run in page.items] == started
    assert third.next_cursor is None
    with pytest.raises(CursorError):
        runs.page(ledger.redis, cursor="x")
    prune.forget_expired(ledger, after(2.5) + timedelta(days=60))
    assert [run.id for run in runs.page(ledger.redis).items] == started[:2]


@pytest.mark.parametrize(
    "field", [("state", "gone"), ("wanted", '{"newer":1}'), ("total", "x"), ("action", "dance")]
)
def test_it_leaves_a_run_alone_that_it_cannot_read(ledger: Ledger, field: tuple[str, str]) -> None:
    letters(ledger, 1)
    broken, fine = start(ledger), start(ledger)
    ledger.redis.hset(keys.run(broken.id), *field)
    assert runs.get(ledger.redis, broken.id) is None
    assert work(ledger) == 1
    assert get(ledger, fine).acted == 1


def test_it_keeps_what_it_counted_as_long_as_the_run(ledger: Ledger) -> None:
    letters(ledger, 1)
    run = start(ledger, DISCARD)
    work(ledger)
    for name in (keys.run(run.id), keys.run_results(run.id)):
        assert ledger.redis.ttl(name) == pytest.approx(30 * 24 * 3600, abs=60)


def test_a_run_over_an_unreadable_record_mends_it_first(ledger: Ledger) -> None:
    (key,) = letters(ledger, 1)
    ledger.redis.hset(keys.record(key), "rev", "x")
    run = start(ledger)
    work(ledger, now=LATER + timedelta(seconds=1))
    assert (get(ledger, run).acted, counts(ledger)) == (1, {"queued": 1})


def test_nobody_waits_for_a_lock_that_is_given_back(ledger: Ledger) -> None:
    letters(ledger, 1)
    start(ledger)
    first = RunExecutor(ledger, "w1")
    assert first.step(LATER) == 1
    RunExecutor(ledger, "w2").release()
    assert ledger.redis.get(keys.RUNS_LOCK) == b"w1"
    first.release()
    assert ledger.redis.get(keys.RUNS_LOCK) is None
