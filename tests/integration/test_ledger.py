import threading
from datetime import timedelta

import pytest
from redis import Redis

from pushes import life, policy
from pushes.model import Change, Push, PushKey, Reason, State
from pushes.operate import replay
from pushes.read import dead_letters, overview
from pushes.read.cursors import CursorError
from pushes.read.dead_letters import Filter
from pushes.store import keys, records
from pushes.store.ledger import Ledger
from tests.builders import NOW, a_key, put
from worker.periodic.prune import forget_expired


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def test_it_counts_every_push_that_comes_at_the_same_time(ledger: Ledger) -> None:
    key = a_key()
    threads = [
        threading.Thread(target=ledger.accept, args=(key, NOW + timedelta(seconds=n)))
        for n in range(20)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    push = records.get(ledger.redis, key)
    assert push
    assert (push.pushes, push.state) == (20, State.QUEUED)
    assert ledger.rq.queue.get_job_ids() == [keys.job_id(key)]


def test_it_takes_no_change_of_a_record_that_moved_on(ledger: Ledger) -> None:
    push = put(ledger, State.DEAD)
    first = life.replayed(push, "a", "first", NOW)
    second = life.replayed(push, "b", "second", NOW)
    assert first
    assert second

    assert ledger.commit_many([first, second]) == [True, False]
    assert [entry.by for entry in records.timeline(ledger.redis, push.key)][-1] == "a"


def test_it_recognises_its_own_change_when_the_answer_got_lost(ledger: Ledger) -> None:
    push = put(ledger, State.DEAD)
    change = life.replayed(push, "ops", "why", NOW)
    assert change

    assert ledger.commit_many([change, change]) == [True, True]
    assert len(ledger.rq.queue) == 1
    assert sum(entry.event == "replayed" for entry in records.timeline(ledger.redis, push.key)) == 1


def test_it_decides_again_with_the_present_record(ledger: Ledger) -> None:
    stale = put(ledger, State.DEAD)
    ledger.accept(stale.key, NOW + timedelta(minutes=5))  # revives it
    asked: list[State] = []

    def step(push: Push) -> Change | None:
        asked.append(push.state)
        return life.replayed(push, "ops", "why", NOW)

    assert ledger.advance(stale.key, step, stale) is None
    assert asked == [State.DEAD, State.QUEUED]


@pytest.mark.parametrize("state", [State.ACKNOWLEDGED, State.NOT_NEEDED])
@pytest.mark.parametrize("days", [None, 2])
def test_it_lets_settled_records_expire_and_nothing_else(
    ledger: Ledger, state: State, days: int | None
) -> None:
    retention = timedelta(days=days) if days else policy.RETENTION
    ledger = Ledger(ledger.redis, retention=retention)
    settled, waiting = put(ledger, state), put(ledger, State.RETRYING)

    def ttls(push: Push) -> list[int]:
        names = keys.record(push.key), keys.timeline(push.key)
        return [ledger.redis.ttl(name) for name in names]

    kept_s = [int(kept.total_seconds()) for kept in (retention, policy.TIMELINE_KEPT)]
    assert ttls(settled) == [pytest.approx(seconds, abs=60) for seconds in kept_s]
    assert ttls(waiting) == [-1, -1]
    ledger.accept(settled.key, NOW + timedelta(minutes=6))
    assert ttls(settled) == [-1, -1]


def test_it_keeps_the_last_fifty_entries(ledger: Ledger) -> None:
    key = a_key()
    for minute in range(60):
        ledger.accept(key, NOW + timedelta(minutes=minute))

    timeline = records.timeline(ledger.redis, key)
    assert len(timeline) == 50
    assert timeline[-1].at == NOW + timedelta(minutes=59)


def test_it_counts_each_state_and_forgets_what_settled_a_month_ago(ledger: Ledger) -> None:
    for state in State:
        put(ledger, state)

    assert overview.counts(ledger, NOW) == dict.fromkeys(State, 1)
    later = NOW + policy.RETENTION + timedelta(seconds=1)
    forget_expired(ledger, later)
    gone = {State.ACKNOWLEDGED: 0, State.NOT_NEEDED: 0}
    assert overview.counts(ledger, NOW) == dict.fromkeys(State, 1) | gone


def test_it_knows_the_first_deadline_of_what_waits(ledger: Ledger) -> None:
    assert overview.oldest_deadline(ledger.redis) is None
    put(ledger, State.HELD, now=NOW + timedelta(hours=1))
    put(ledger, State.QUEUED, now=NOW)
    put(ledger, State.ACKNOWLEDGED, now=NOW - timedelta(hours=5))

    assert overview.oldest_deadline(ledger.redis) == NOW + timedelta(hours=48)


def test_it_pages_through_the_dead_letters_oldest_first(ledger: Ledger) -> None:
    dead = [put(ledger, State.DEAD, now=NOW + timedelta(seconds=n // 2)).key for n in range(7)]
    expected = sorted(dead, key=lambda key: (dead.index(key) // 2, keys.job_id(key)))

    found: list[PushKey] = []
    cursor = None
    while True:
        page = dead_letters.page(ledger.redis, Filter(), limit=2, cursor=cursor)
        found += [push.key for push in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert found == expected
    assert dead_letters.count(ledger.redis, Filter()) == 7


def test_it_filters_by_reason_account_and_time(ledger: Ledger) -> None:
    early = put(ledger, State.DEAD, PushKey("a", a_key().order_id), NOW)
    late = put(ledger, State.DEAD, PushKey("b", a_key().order_id), NOW + timedelta(hours=1))

    def listed(wanted: Filter) -> list[PushKey]:
        page = dead_letters.page(ledger.redis, wanted)
        assert dead_letters.count(ledger.redis, wanted) == len(page.items)
        return [push.key for push in page.items]

    assert listed(Filter(account="a")) == [early.key]
    assert listed(Filter(since=NOW + timedelta(hours=1))) == [late.key]
    assert listed(Filter(until=NOW + timedelta(hours=1))) == [early.key]
    assert listed(Filter(reason=Reason.REJECTED)) == []
    assert listed(Filter(reason=Reason.NO_SUCH_ORDER)) == [early.key, late.key]


@pytest.mark.parametrize("cursor", ["x", "1:x", "nan:default_" + "0" * 36, ":", "inf:"])
def test_it_refuses_a_cursor_that_no_page_gave(ledger: Ledger, cursor: str) -> None:
    with pytest.raises(CursorError, match="use the next_cursor of the page before"):
        dead_letters.page(ledger.redis, Filter(), cursor=cursor)


def test_it_takes_a_discarded_push_out_of_every_list(ledger: Ledger) -> None:
    push = put(ledger, State.DEAD)

    replay.discard(ledger, push.key, by="ops", why="forged", now=NOW)

    assert dead_letters.count(ledger.redis, Filter()) == 0
    assert overview.counts(ledger, NOW)[State.DEAD] == 0
    assert ledger.rq.queue.failed_job_registry.get_job_ids(cleanup=False) == []
    assert ledger.redis.keys("rq:job:*") == []
    assert ledger.redis.ttl(keys.record(push.key)) > 0
