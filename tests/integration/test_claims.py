"""Which jobs a worker may take, in which order, and when each may call Klarna."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast

import pytest
from redis import Redis
from structlog.testing import capture_logs

from pushes import life, policy
from pushes.accounts.holds import Holds
from pushes.accounts.pauses import Pauses
from pushes.accounts.serving import Serving, Share
from pushes.model import HoldReason, Lane, PushKey, State
from pushes.operate import replay
from pushes.origin import Origin
from pushes.store import counters, keys, records
from pushes.store.ledger import Ledger
from tests.builders import NOW, a_key, put
from worker.claiming.claims import Claimed, ClaimKind, Claims
from worker.claiming.places import Places
from worker.claiming.quota import Quota, QuotaSpentError

OPERATOR = Origin("queued", "ops", lane=Lane.BACKLOG)
RATE_PER_S = 10.0
INTERVAL_S = 1 / (0.94 * RATE_PER_S)


class TestClock:
    """A time that the test moves."""

    __test__ = False

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - NOW).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class ClaimHarness:
    """Two workers' claims over one Redis."""

    def __init__(self, redis: Redis, *accounts: str, rate_per_s: float = RATE_PER_S) -> None:
        self.ledger = Ledger(redis)
        self.clock = TestClock()
        self.holds = Holds(redis, self.clock.now)
        self.pauses = Pauses(redis, self.clock.now)
        shares = {name: Share.of(name, rate_per_s) for name in accounts or ("default",)}
        now = self.clock.now
        self.quota = Quota(redis, shares, now)
        self.serving = Serving(redis, shares.values(), now)
        self.claims = [
            Claims(redis, self.ledger.rq, self.serving, self.clock, now=now) for _ in range(2)
        ]
        self._turn = 0

    def take(self, at_most: int = 32) -> Claimed:
        self._turn += 1
        return self.claims[self._turn % 2].claim(at_most)

    def take_after_waiting(self) -> Claimed:
        nothing = Claimed([], None, queue_is_empty=True)
        self.claims[0].wait(nothing, 1, threading.Event())
        return self.claims[0].claim(1)

    def take_for(self, seconds: float, step_s: float = 0.01) -> list[float]:
        """Take whatever can be taken meanwhile; when each may call Klarna."""
        end, slots = self.clock.monotonic() + seconds, list[float]()
        while self.clock.monotonic() < end:
            now = self.clock.monotonic()
            slots += [claim.slot_at or now for claim in self.take().claims]
            self.clock.sleep(step_s)
        return slots

    def push(self, count: int = 1, account: str = "default") -> list[PushKey]:
        return [self.ledger.accept(a_key(account), self.clock.now()).key for _ in range(count)]


@pytest.fixture
def harness(redis_client: Redis) -> ClaimHarness:
    return ClaimHarness(redis_client)


def test_it_takes_a_job_once_and_leaves_it_where_recovery_finds_it(harness: ClaimHarness) -> None:
    (key,) = harness.push()

    taken, again = harness.take(), harness.take()

    assert [(claim.key, claim.kind) for claim in taken.claims] == [(key, ClaimKind.ATTEMPT)]
    assert taken.claims[0].push == records.get(harness.ledger.redis, key)
    assert (again.claims, again.wait_s, again.queue_is_empty) == ([], None, True)
    popped = harness.ledger.rq.queue.intermediate_queue_key
    assert harness.ledger.redis.lrange(popped, 0, -1) == [keys.job_id(key).encode()]


def test_it_takes_no_more_than_the_quota_in_any_second_and_nearly_all_of_it(
    harness: ClaimHarness,
) -> None:
    harness.push(60)

    times = harness.take_for(5)

    busiest = max(sum(at <= other < at + 1 for other in times) for at in times)
    assert busiest <= RATE_PER_S
    assert len(times) >= 0.9 * RATE_PER_S * 5


def test_it_says_how_long_until_the_next_slot(harness: ClaimHarness) -> None:
    harness.push(3)

    first = harness.take()
    harness.clock.sleep((first.wait_s or 0) + 0.001)
    second = harness.take()

    assert 0 < (first.wait_s or 0) < INTERVAL_S
    assert len(second.claims) == 1
    assert not first.queue_is_empty


def test_an_acknowledge_gets_a_slot_before_another_job_is_begun(harness: ClaimHarness) -> None:
    harness.push(5)
    begun = len(harness.take().claims)

    waits = [harness.quota.reserve("default") for _ in range(3)]
    harness.clock.sleep(INTERVAL_S)

    assert begun < 5
    assert waits == sorted(waits)
    assert waits[-1] < 4 * INTERVAL_S
    assert harness.take().claims == []


def test_it_calls_nobody_during_a_pause_that_klarna_asked_for(harness: ClaimHarness) -> None:
    harness.push()

    for order in ("one", "another"):
        harness.pauses.limited("default", order, 30, "HTTP 429")
    taken = harness.take()

    assert (taken.claims, taken.queue_is_empty) == ([], False)
    assert 29 < (taken.wait_s or 0) <= 30
    with pytest.raises(QuotaSpentError, match=r"30\.0 s"):
        harness.quota.reserve("default")
    harness.clock.sleep(30)
    assert len(harness.take().claims) == 1


def test_no_account_spends_the_quota_of_another(redis_client: Redis) -> None:
    harness = ClaimHarness(redis_client, "eu", "us")
    harness.push(20, "eu")
    (key,) = harness.push(1, "us")

    assert key in [claim.key for claim in harness.take().claims]


def test_it_leaves_the_jobs_of_an_account_it_does_not_serve(harness: ClaimHarness) -> None:
    harness.push(1, "elsewhere")

    taken = harness.take()

    assert (taken.claims, taken.wait_s, taken.queue_is_empty) == ([], None, False)


def commands_of(redis: Redis, act: Callable[[], object]) -> int:
    """How many commands Redis carries out for `act`, those inside of scripts included."""

    def total() -> int:
        stats = cast(dict[str, dict[str, int]], redis.info("commandstats"))
        return sum(one["calls"] for name, one in stats.items() if name != "cmdstat_info")

    act()  # which loads the script
    before = total()
    act()
    return total() - before


def test_a_claim_looks_only_at_the_accounts_that_have_something_to_do(redis_client: Redis) -> None:
    few, many = (
        ClaimHarness(redis_client, *(f"shop-{n}" for n in range(count)), rate_per_s=1000)
        for count in (1, 2000)
    )

    idle = [commands_of(redis_client, harness.take) for harness in (few, many)]
    many.push(3, "shop-1999")

    assert idle[0] == idle[1] <= 12
    assert len(many.take().claims) == 3


def test_all_accounts_have_their_turn(redis_client: Redis) -> None:
    names = [f"shop-{number}" for number in range(20)]
    harness = ClaimHarness(redis_client, *names, rate_per_s=10)
    for name in names:
        harness.push(50, name)

    served = [claim.key.account for _ in range(4) for claim in harness.take(5).claims]

    assert sorted(served) == sorted(names)


def test_the_accounts_of_other_workers_hold_up_nobody(redis_client: Redis) -> None:
    others = [f"other-{number}" for number in range(300)]
    ClaimHarness(redis_client, *others).serving.announce()
    harness = ClaimHarness(redis_client, "mine")
    for name in others:
        harness.push(1, name)
    harness.push(1, "mine")

    # What came since the last look is sorted in bit by bit.
    taken = [claim.key.account for _ in range(7) for claim in harness.take().claims]

    assert taken == ["mine"]


def test_the_threads_of_a_worker_say_together_what_it_serves(redis_client: Redis) -> None:
    shares = [Share.of(f"shop-{number}", 10) for number in range(3000)]
    serving = Serving(redis_client, shares)

    threads = [threading.Thread(target=serving.announce) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert redis_client.hlen(serving.key) == 3000


@pytest.mark.parametrize("place", [keys.ready("eu", Lane.FRESH), keys.hold("eu"), keys.quota("eu")])
def test_an_account_whose_key_is_of_a_wrong_type_holds_up_no_other(
    redis_client: Redis, place: str
) -> None:
    harness = ClaimHarness(redis_client, "eu", "us")
    keys_of = {account: harness.push(1, account) for account in ("eu", "us")}
    redis_client.delete(place)
    redis_client.set(place, "whatever")

    with capture_logs() as logged:
        taken = [harness.take().claims, harness.take().claims]

    assert [claim.key for claims in taken for claim in claims] == keys_of["us"]
    assert [(line["event"], line["account"]) for line in logged] == [("account.not_claimed", "eu")]
    assert "WRONGTYPE" in logged[0]["error"]


def test_it_says_again_what_it_serves_when_redis_has_lost_that(harness: ClaimHarness) -> None:
    harness.take()
    harness.push()
    harness.ledger.redis.delete(harness.serving.key, keys.SERVED)

    assert len(harness.take().claims) == 1


def test_it_serves_the_earliest_deadline_of_a_lane_first(redis_client: Redis) -> None:
    harness = ClaimHarness(redis_client, rate_per_s=1000)
    late = [
        put(harness.ledger, State.DEAD, now=NOW - timedelta(hours=hours)) for hours in (1, 9, 5)
    ]
    for push in late:
        replay.replay(harness.ledger, push.key, by="ops", why="over", now=NOW)

    taken = harness.take().claims

    assert [claim.key for claim in taken] == [late[1].key, late[2].key, late[0].key]


def test_fresh_pushes_keep_their_share_and_the_backlog_its_own(redis_client: Redis) -> None:
    harness = ClaimHarness(redis_client, rate_per_s=1000)
    for _ in range(20):
        harness.ledger.accept(a_key(), NOW - timedelta(hours=1), OPERATOR)
    harness.push(20)

    lanes = [claim.push.lane for claim in harness.take(10).claims if claim.push]

    assert lanes.count(Lane.FRESH) == policy.TURNS.count(Lane.FRESH) + 1  # nobody is unknown
    assert lanes.count(Lane.BACKLOG) == policy.TURNS.count(Lane.BACKLOG)


def test_an_account_that_may_be_slow_leaves_as_many_places_free_as_it_takes(
    redis_client: Redis,
) -> None:
    harness = ClaimHarness(redis_client, "slow", "slower", "other", rate_per_s=1_000_000)
    under_way: list[str] = []
    places = Places(16, lambda: under_way)
    places.limit(["slow", "slower"])
    claims = Claims(
        *(redis_client, harness.ledger.rq, harness.serving, harness.clock),
        now=harness.clock.now,
        places=places,
    )

    def take_all() -> dict[str, int]:
        """Take until nothing more can be taken; who has how many places then."""
        while taken := claims.claim(16 - len(under_way)).claims:
            under_way.extend(claim.key.account for claim in taken)
            harness.clock.sleep(1)
        return dict(Counter(under_way))

    harness.push(40, "slow")
    assert take_all() == {"slow": 8}
    assert not claims.claim(8).queue_is_empty  # it looks again, and does not wait for a push
    harness.push(40, "slower")
    harness.clock.sleep(1)
    assert take_all() == {"slow": 8, "slower": 4}
    harness.push(40, "other")
    assert take_all() == {"slow": 8, "slower": 4, "other": 4}

    assert claims.claim(0).claims == []
    ahead = claims.claim(2).claims  # all places are taken, and two attempts may be begun ahead
    assert [claim.key.account for claim in ahead] == ["other"]

    places.limit([])
    under_way.clear()
    harness.clock.sleep(1)
    assert take_all().keys() <= {"slow", "slower", "other"}
    assert len(under_way) == 16


class ArrivingWhileWaiting(threading.Event):
    """Lets a push arrive at the third wait, and the time pass that is waited for."""

    def __init__(self, harness: ClaimHarness) -> None:
        super().__init__()
        self.harness = harness
        self.waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        self.harness.clock.sleep(timeout or 0)
        if self.waits == 3:
            self.harness.push()
        return False


def test_a_push_is_not_kept_waiting_by_a_backlog_that_cannot_be_served(
    harness: ClaimHarness,
) -> None:
    waiting = ArrivingWhileWaiting(harness)

    harness.claims[0].wait(Claimed([], None, queue_is_empty=False), 1, waiting)

    assert waiting.waits == 3
    assert harness.clock.monotonic() < 0.02


def test_what_klarna_does_not_know_never_takes_more_than_its_share(harness: ClaimHarness) -> None:
    for _ in range(30):
        push = put(harness.ledger, State.RUNNING)
        unknown = life.retrying(push, NOW, NOW, error="HTTP 404", not_found=True)
        due = life.due(unknown.after, NOW)
        assert due
        assert harness.ledger.commit_many([unknown]) == [True]
        assert harness.ledger.commit_many([due]) == [True]

    taken = harness.take_for(10, step_s=0.05)

    assert len(taken) <= policy.UNKNOWN_SHARE * RATE_PER_S * 10 + 1
    assert len(taken) >= policy.UNKNOWN_SHARE * RATE_PER_S * 10 * 0.8


def test_it_parks_the_jobs_of_a_held_account(harness: ClaimHarness) -> None:
    pushed = harness.push(3)
    harness.holds.begin("default", HoldReason.OUTAGE, "HTTP 503")

    taken = harness.take()

    assert {claim.key for claim in taken.claims} == set(pushed)
    assert {(claim.kind, claim.why_held) for claim in taken.claims} == {
        (ClaimKind.PARK, HoldReason.OUTAGE)
    }


def test_no_probe_is_made_during_a_pause_and_no_thread_waits_for_its_end(
    harness: ClaimHarness,
) -> None:
    hold_with(harness, 3, HoldReason.OUTAGE)
    for order in ("one", "another"):
        harness.pauses.limited("default", order, 3600, "HTTP 429")

    found = probes(harness, 3600)

    assert [at for at, _key in found] == [3600]
    assert all(claim.slot_at is None for claim in harness.take().claims)


@pytest.mark.parametrize("wait_s", [1.5, 3600])
def test_no_thread_waits_for_a_slot_longer_than_a_second(
    harness: ClaimHarness, wait_s: float
) -> None:
    for order in ("one", "another"):
        harness.pauses.limited("default", order, wait_s, "HTTP 429")

    with pytest.raises(QuotaSpentError):
        harness.quota.reserve("default")

    harness.clock.sleep(wait_s - 0.5)
    assert harness.quota.reserve("default") == pytest.approx(0.5, abs=0.01)


def test_no_thread_waits_longer_than_a_second_while_redis_is_away(redis_client: Redis) -> None:
    quota = Quota(redis_client, {"default": Share.of("default", 10)})
    redis_client.connection_pool.connection_kwargs |= {"port": 1}
    redis_client.connection_pool.disconnect()

    waits, refused = [], 0
    for _ in range(20):
        try:
            waits.append(quota.reserve("default"))
        except QuotaSpentError:
            refused += 1

    assert len(waits) >= 3
    assert max(waits) <= 1
    assert refused


def hold_with(harness: ClaimHarness, count: int, reason: HoldReason) -> list[PushKey]:
    """Hold the account; its pushes, the most urgent first."""
    held = [
        put(harness.ledger, State.HELD, now=harness.clock.now() + timedelta(seconds=number)).key
        for number in range(count)
    ]
    harness.holds.begin("default", reason, "because")
    return held


def probes(harness: ClaimHarness, seconds: int) -> list[tuple[int, PushKey]]:
    """The probes taken while so many seconds pass, each with its time."""
    found = []
    for second in range(seconds + 1):
        found += [
            (second, claim.key) for claim in harness.take().claims if claim.kind is ClaimKind.PROBE
        ]
        harness.clock.sleep(1)
    return found


def test_it_probes_an_outage_at_growing_intervals_and_with_different_orders(
    harness: ClaimHarness,
) -> None:
    held = hold_with(harness, 9, HoldReason.OUTAGE)

    found = probes(harness, 240)

    assert [at for at, _key in found] == [5, 15, 35, 75, 135, 195]
    assert [key for _at, key in found] == [held[at] for at in (0, 8, 1, 8, 2, 8)]


def test_it_probes_refused_credentials_once_a_minute(harness: ClaimHarness) -> None:
    hold_with(harness, 3, HoldReason.CREDENTIALS)

    assert [at for at, _key in probes(harness, 200)] == [60, 120, 180]


def test_it_never_probes_an_operators_hold(harness: ClaimHarness) -> None:
    hold_with(harness, 3, HoldReason.OPERATOR)

    assert probes(harness, 300) == []


def test_it_resumes_in_steps_after_an_outage(redis_client: Redis) -> None:
    harness = ClaimHarness(redis_client, rate_per_s=100)
    harness.holds.begin("default", HoldReason.OUTAGE, "HTTP 503")
    assert harness.holds.end("default")
    harness.push(2500)

    taken = []
    for _ in range(5):
        count = len(harness.take_for(5, step_s=0.02))
        taken.append(round(count / 5))

    assert taken == [pytest.approx(share, abs=2) for share in (9, 24, 47, 47, 94)]


def test_a_job_that_came_while_it_waited_is_taken_at_once(harness: ClaimHarness) -> None:
    (key,) = harness.push()

    taken = harness.take_after_waiting()

    assert [claim.key for claim in taken.claims] == [key]
    assert taken.queue_is_empty


def test_a_job_that_somebody_else_queued_is_judged_like_any(harness: ClaimHarness) -> None:
    push = put(harness.ledger, State.DEAD)
    harness.ledger.rq.queue.push_job_id(keys.job_id(push.key))

    taken = harness.take_after_waiting()

    assert [claim.key for claim in taken.claims] == [push.key]


def test_it_drops_a_job_that_is_no_push(harness: ClaimHarness) -> None:
    harness.ledger.rq.queue.push_job_id("rubbish")

    with capture_logs() as logged:
        taken = harness.take_after_waiting()

    assert (taken.claims, taken.queue_is_empty) == ([], True)
    assert counters.totals(harness.ledger.redis) == {"foreign_job_dropped": 1}
    assert [(line["event"], line["job_id"]) for line in logged] == [
        ("queue.foreign_job_dropped", "rubbish")
    ]
