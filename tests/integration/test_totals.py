from datetime import timedelta

import pytest
from redis import Redis

from pushes import life
from pushes.accounts.holds import Holds
from pushes.accounts.pauses import Pauses
from pushes.accounts.serving import Serving, Share
from pushes.model import HoldReason, State
from pushes.read.lately import quota
from pushes.read.lately.quota import QuotaUsed
from pushes.read.unreadable import Unreadable
from pushes.store import keys
from pushes.store.counted import totals
from pushes.store.counted.totals import AcceptedAs, Total
from pushes.store.ledger import Ledger
from tests.builders import NOW, a_key, put, worker_parts
from worker.claiming.quota import QuotaUse

MINUTE = timedelta(minutes=1)


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def test_it_counts_what_happens_to_a_push(ledger: Ledger) -> None:
    put(ledger, State.ACKNOWLEDGED)
    put(ledger, State.DEAD)

    found = totals.read(ledger.redis)

    assert found.counts == {
        **{total: {} for total in Total},
        Total.ACCEPTED: {AcceptedAs.NEW: 2},
        Total.ADMITTED: {"fresh": 2},
        Total.ATTEMPTS: {"acknowledged": 1, "dead": 1},
        Total.DEAD: {"no_such_order": 1},
    }
    assert found.acknowledged_after.counts.total() == 1


def test_it_counts_a_change_once_that_is_committed_again(ledger: Ledger) -> None:
    change = life.first_pushed(a_key(), NOW)

    assert [ledger.commit_many([change]) for _ in range(3)] == [[True]] * 3

    assert totals.read(ledger.redis).counts[Total.ACCEPTED] == {"new": 1}


def test_a_push_is_taken_though_it_cannot_be_counted(ledger: Ledger) -> None:
    ledger.redis.set(keys.TOTALS, "somebody else's")

    assert ledger.accept(a_key(), NOW).state is State.QUEUED


def test_it_leaves_out_what_nobody_here_knows(ledger: Ledger) -> None:
    ledger.redis.hset(keys.TOTALS, mapping={"a:b:c:d:e": 1, "later:x": 2, "dead:rejected": 3})

    assert totals.read(ledger.redis).counts[Total.DEAD] == {"rejected": 3}


def test_it_counts_holds_and_pauses(ledger: Ledger) -> None:
    holds, pauses = Holds(ledger.redis), Pauses(ledger.redis)
    for _ in range(2):
        holds.begin("eu", HoldReason.OUTAGE, "HTTP 503")
    for order in ("one", "two"):
        pauses.limited("us", order, 1.0, "HTTP 429")

    counts = totals.read(ledger.redis).counts

    assert counts[Total.HOLDS] == {"outage": 1}
    assert counts[Total.PAUSES] == {"order": 1, "account": 1}


def test_it_adds_up_the_quota_that_was_used(ledger: Ledger) -> None:
    use = QuotaUse(ledger.redis)
    for _ in range(2):
        use.note("eu", [0.0, 0.25])
        use.hand_on(NOW)
    use.hand_on(NOW)

    assert totals.quota(ledger.redis, ["eu", "us"]) == {"eu": (4, 0.5), "us": (0, 0.0)}


def test_it_says_how_much_of_the_quota_was_used_in_the_last_minute(ledger: Ledger) -> None:
    use, redis = QuotaUse(ledger.redis), ledger.redis
    Serving(redis, [Share.of("eu", 50), Share.of("us", 200)]).announce()
    use.note("eu", [0.0] * 1410)
    use.hand_on(NOW)

    unreadable = Unreadable()
    later = [quota.read(redis, ["eu", "us", "oc"], NOW + n * MINUTE, unreadable) for n in (0, 1, 2)]

    idle = {"eu": QuotaUsed(0.0, 47.0), "us": QuotaUsed(0.0, 188.0)}
    assert later == [idle, {**idle, "eu": QuotaUsed(23.5, 47.0)}, idle]
    assert later[1]["eu"].share == pytest.approx(0.5)
    assert unreadable.sentences == []
    assert 0 < redis.ttl(keys.quota_used(int(NOW.timestamp()) // 60)) <= 180


def test_a_claim_and_a_reservation_use_the_quota(ledger: Ledger) -> None:
    parts = worker_parts(ledger.redis)
    put(ledger, State.QUEUED)
    (task,) = (task for task in parts.tasks if task.name == "quota")

    parts.starter.start(parts.claims.claim(1).claims)
    task.act()

    slots, waited_s = totals.quota(ledger.redis, ["default"])["default"]
    assert slots == 1
    assert timedelta(seconds=waited_s) < timedelta(seconds=1)
