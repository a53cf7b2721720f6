"""What the ends of attempts do to their account, on a real server."""

from datetime import datetime, timedelta

import pytest
import time_machine
from redis import Redis

from pushes import policy
from pushes.accounts import clock
from pushes.accounts.holds import AccountHold, Holds
from pushes.accounts.pauses import Pause, Pauses
from pushes.accounts.serving import Serving, Share
from pushes.model import HoldReason, OrderSnapshot, Push, PushKey, Reason, State
from pushes.store import indexes, keys, records
from pushes.store.ledger import Ledger
from tests.builders import NOW, a_key, claim, pop, put, worker_parts
from worker.attempt.attempt import Ending, Report
from worker.attempt.outcomes import (
    AccountSignal,
    Acknowledged,
    Dead,
    Hold,
    Outcome,
    RateLimited,
    Retry,
    Spends,
)
from worker.claiming.claims import Claim, ClaimKind
from worker.periodic.resume import HeldBacklog

OUTAGE_AFTER = 4
MILLISECOND = timedelta(milliseconds=1)  # what is finer is cut off in Redis
FAILED = Retry(timedelta(seconds=5), Spends.FAILURE, "HTTP 503", AccountSignal.FAILING)
REFUSED = Hold(HoldReason.CREDENTIALS, "HTTP 401")
LIMITED_ALONE = Retry(timedelta(seconds=7), Spends.RATE_LIMIT, "HTTP 429", AccountSignal.BUSY)
LIMITED = RateLimited(timedelta(seconds=7), "HTTP 429", LIMITED_ALONE)
OURS = Retry(timedelta(seconds=5), Spends.FAILURE, "KeyError", AccountSignal.NONE)


class Office:
    """Attempts whose outcomes the test chooses, and the judge of their accounts."""

    def __init__(self, redis: Redis) -> None:
        self.ledger = Ledger(redis)
        self.now = NOW
        self.holds = Holds(redis, self.clock)
        self.pauses = Pauses(redis, self.clock)
        self.parts = worker_parts(
            redis,
            accounts=("default", "other"),
            rate_per_s=100,
            outage_after_failures=OUTAGE_AFTER,
            redis_now=self.clock,
        )

    def clock(self) -> datetime:
        return self.now

    def release(self, now: datetime) -> int:
        """Queue what was held and can be served soon; how many."""
        shares = {name: Share.of(name, 100) for name in ("default", "other")}
        serving = Serving(self.ledger.redis, shares.values(), self.clock)
        serving.announce()
        return HeldBacklog(self.ledger, serving).release(now)

    def end(
        self,
        *outcomes: Outcome,
        key: PushKey | None = None,
        probe: bool = False,
        order: OrderSnapshot | None = None,
    ) -> list[Push]:
        """Let an attempt end in each of the outcomes; the records afterwards."""
        keys_ended, endings = [], []
        for outcome in outcomes:
            ending_key = key or put(self.ledger, State.QUEUED).key
            pop(self.ledger)
            taken = claim(self.ledger, ending_key)
            if probe:
                taken = Claim(ending_key, taken.data, taken.push, ClaimKind.PROBE)
            (attempt,) = self.parts.starter.start([taken])
            endings.append(Ending.of(attempt, outcome, Report(order=order), NOW))
            keys_ended.append(ending_key)
        self.parts.settler.settle(endings)
        return [push for push in records.get_many(self.ledger.redis, keys_ended) if push]

    def held(self, account: str = "default") -> AccountHold | None:
        return self.holds.get(account)


@pytest.fixture
def office(redis_client: Redis) -> Office:
    return Office(redis_client)


def test_failures_of_many_orders_in_a_row_are_an_outage_and_spend_nothing(office: Office) -> None:
    pushes = office.end(*[FAILED] * OUTAGE_AFTER)

    hold = office.held()
    assert hold
    assert (hold.reason, hold.cause, hold.since) == (HoldReason.OUTAGE, "HTTP 503", NOW)
    assert hold.probe_at == NOW + timedelta(seconds=5)
    assert {(push.state, push.reason, push.failures) for push in pushes} == {
        (State.HELD, HoldReason.OUTAGE, 0)
    }


def test_one_order_that_keeps_failing_is_no_outage(office: Office) -> None:
    key = put(office.ledger, State.QUEUED).key
    for _ in range(3 * OUTAGE_AFTER):
        office.end(FAILED, key=key)

    assert office.held() is None
    push = records.get(office.ledger.redis, key)
    assert push
    assert (push.state, push.failures) == (State.RETRYING, 3 * OUTAGE_AFTER)


def test_a_sensible_answer_begins_the_row_anew(office: Office) -> None:
    for _ in range(3):
        office.end(*[FAILED] * (OUTAGE_AFTER - 1))
        office.end(Acknowledged())

    assert office.held() is None
    assert not office.ledger.redis.exists(keys.failing("default"))


@pytest.mark.parametrize("outcome", [OURS, LIMITED])
def test_what_is_not_klarnas_trouble_is_no_outage(office: Office, outcome: Outcome) -> None:
    office.end(*[outcome] * 3 * OUTAGE_AFTER)

    assert office.held() is None


def test_one_refusal_of_the_account_holds_it(office: Office) -> None:
    (push,) = office.end(REFUSED)

    hold = office.held()
    assert hold
    assert (hold.reason, hold.cause) == (HoldReason.CREDENTIALS, "HTTP 401")
    assert hold.probe_at == NOW + timedelta(minutes=1)
    assert (push.state, push.reason) == (State.HELD, HoldReason.CREDENTIALS)


def test_the_last_attempt_of_an_order_does_not_die_of_an_outage(office: Office) -> None:
    office.end(*[FAILED] * OUTAGE_AFTER)

    (push,) = office.end(Dead(Reason.RETRIES_EXHAUSTED, "HTTP 503", AccountSignal.FAILING))

    assert (push.state, push.reason) == (State.HELD, HoldReason.OUTAGE)


def test_the_timeline_says_who_paused_an_account_and_who_resumed_it(office: Office) -> None:
    waiting = put(office.ledger, State.QUEUED).key
    office.holds.begin("default", HoldReason.OPERATOR, "new credentials", "anna")
    assert office.parts.starter.start(office.parts.claims.claim(1).claims) == []
    office.holds.resume("default", by="ops", why="they work")

    assert office.release(NOW) == 1

    timeline = records.timeline(office.ledger.redis, waiting)
    assert [(entry.event, entry.detail, entry.by) for entry in timeline] == [
        ("pushed", None, None),
        ("held", "operator: new credentials", "anna"),
        ("resumed", "they work", "ops"),
    ]


def test_the_timeline_names_nobody_when_an_account_resumed_by_itself(office: Office) -> None:
    office.holds.begin("default", HoldReason.OPERATOR, "new credentials", "anna")
    office.holds.resume("default", by="ops", why="they work")
    (waiting,) = office.end(REFUSED)
    office.holds.end("default")

    assert office.release(NOW) == 1

    last = records.timeline(office.ledger.redis, waiting.key)[-1]
    assert (last.event, last.detail, last.by) == ("resumed", None, None)


def test_other_accounts_are_not_touched(office: Office) -> None:
    office.end(REFUSED, key=put(office.ledger, State.QUEUED, a_key("other")).key)

    assert office.held("other")
    assert office.held() is None


def test_a_probe_that_passes_resumes_the_account(office: Office) -> None:
    (waiting,) = office.end(REFUSED)

    office.end(Acknowledged(), probe=True)

    assert office.held() is None
    assert office.release(NOW) == 1
    resumed = records.get(office.ledger.redis, waiting.key)
    assert resumed
    assert (resumed.state, resumed.reason) == (State.QUEUED, None)
    assert records.timeline(office.ledger.redis, waiting.key)[-1].event == "resumed"


def test_a_probe_that_shows_another_trouble_changes_the_reason(office: Office) -> None:
    office.end(*[FAILED] * OUTAGE_AFTER)

    office.end(REFUSED, probe=True)

    hold = office.held()
    assert hold
    assert hold.reason is HoldReason.CREDENTIALS


def test_an_answer_of_before_the_hold_does_not_end_it(office: Office) -> None:
    office.end(REFUSED)

    office.end(Acknowledged())

    assert office.held()


def test_nothing_but_an_operator_ends_an_operators_hold(office: Office) -> None:
    office.holds.begin("default", HoldReason.OPERATOR, "moving house", by="ops")

    office.end(Acknowledged(), probe=True)
    refused = office.end(REFUSED)
    hold = office.held()

    assert hold
    assert (hold.reason, hold.by, hold.probe_at) == (HoldReason.OPERATOR, "ops", None)
    assert refused[0].reason is HoldReason.OPERATOR
    assert office.holds.resume("default", by="ops", why="well again").hold == hold
    assert office.held() is None


def pause_of(office: Office) -> timedelta | None:
    pause = office.pauses.active().get("default")
    return pause.until - office.now if pause else None


def test_a_pause_that_klarna_asks_for_holds_nothing_but_the_calls(office: Office) -> None:
    pushes = office.end(LIMITED, LIMITED)

    assert office.held() is None
    assert {(push.state, push.failures) for push in pushes} == {(State.RETRYING, 0)}
    until = NOW + timedelta(seconds=7)
    assert office.pauses.active() == {"default": Pause("default", until, "HTTP 429")}
    assert office.holds.standing("default").pause == Pause("default", until, "HTTP 429")
    office.now = until
    assert office.pauses.active() == {}


def test_one_order_always_answered_429_pauses_its_account_for_a_moment_only(
    office: Office,
) -> None:
    key = put(office.ledger, State.QUEUED).key
    for number in range(1, 4):
        (push,) = office.end(LIMITED, key=key)
        assert pause_of(office) == timedelta(seconds=1)
        assert (push.state, push.limited, push.failures) == (State.RETRYING, number, 0)
        office.end(Acknowledged())
        office.now += timedelta(seconds=10)

    dies = RateLimited(timedelta(hours=1), "HTTP 429", Dead(Reason.RETRIES_EXHAUSTED, "HTTP 429"))
    (push,) = office.end(dies, key=key)

    assert pause_of(office) == timedelta(seconds=1)
    assert (push.state, push.reason) == (State.DEAD, Reason.RETRIES_EXHAUSTED)


def test_an_order_answered_429_with_all_others_spends_nothing(office: Office) -> None:
    key = put(office.ledger, State.QUEUED).key
    office.end(LIMITED, LIMITED)
    for _ in range(4):
        office.end(LIMITED, key=key)
    (push,) = office.end(LIMITED, key=key)

    assert (push.limited, push.failures) == (0, 0)
    assert pause_of(office) == timedelta(seconds=7)


def test_no_pause_is_shortened_by_a_shorter_one(office: Office) -> None:
    office.end(LIMITED, RateLimited(timedelta(hours=1), "HTTP 429", LIMITED_ALONE), LIMITED)

    assert pause_of(office) == timedelta(hours=1)


def test_resuming_an_account_ends_its_pause(office: Office) -> None:
    office.end(LIMITED, LIMITED)

    resumed = office.holds.resume("default", by="ops", why="well again")

    until = NOW + timedelta(seconds=7)
    assert (resumed.hold, resumed.pause) == (None, Pause("default", until, "HTTP 429"))
    assert office.pauses.active() == {}
    assert office.holds.resume("default", by="ops", why="well again").pause is None


def test_a_refused_order_of_an_account_that_passes_holds_nothing(office: Office) -> None:
    refused = Retry(timedelta(seconds=5), Spends.FAILURE, "HTTP 403", AccountSignal.WELL)
    office.end(REFUSED)

    (push,) = office.end(refused, probe=True)

    assert office.held() is None
    assert (push.state, push.failures) == (State.RETRYING, 1)


def test_a_hold_goes_by_no_clock_but_rediss(redis_client: Redis) -> None:
    """Whoever holds and resumes has a clock of his own, ten minutes off: nothing is told it."""
    before = clock.read(redis_client)
    holds = Holds(redis_client)
    with time_machine.travel(before + timedelta(minutes=10)):
        assert holds.begin("default", HoldReason.OUTAGE, "HTTP 503")
    hold = holds.get("default")
    with time_machine.travel(before - timedelta(minutes=10)):
        assert holds.end("default") == hold
    resumed_at = float(redis_client.hget(keys.quota("default"), "resumed_at") or 0)

    assert hold
    assert hold.probe_at == hold.since + timedelta(seconds=5)
    assert before - MILLISECOND <= hold.since <= before + timedelta(seconds=20)
    assert hold.since.timestamp() <= resumed_at <= before.timestamp() + 20


def test_what_was_held_is_queued_in_portions_the_earliest_deadline_first(office: Office) -> None:
    held = [
        put(office.ledger, State.HELD, now=NOW - timedelta(minutes=number)).key
        for number in range(120)
    ]

    assert office.release(NOW) == 95  # two seconds of 47 orders, at 100 calls a second
    assert office.release(NOW) == 0
    waiting = indexes.members(office.ledger.redis, State.HELD)
    assert waiting == list(reversed(held[:25]))


def test_nothing_is_queued_while_the_account_is_held(office: Office) -> None:
    office.end(REFUSED)

    assert office.release(NOW) == 0


NOT_FOUND = Retry(timedelta(seconds=5), Spends.NOT_FOUND, "HTTP 404", AccountSignal.WELL)


def test_many_unknown_orders_in_a_row_are_suspicious_and_hold_nothing(office: Office) -> None:
    office.end(*[NOT_FOUND] * (policy.SUSPICIOUS_UNKNOWN - 1))
    before = office.holds.standing("default").is_suspicious
    office.end(NOT_FOUND)

    assert not before
    assert office.holds.standing("default").is_suspicious
    assert office.held() is None


def test_one_order_that_is_asked_for_again_and_again_is_not_suspicious(office: Office) -> None:
    key = put(office.ledger, State.QUEUED).key
    for _ in range(policy.SUSPICIOUS_UNKNOWN + 1):
        office.end(NOT_FOUND, key=key)

    assert not office.holds.standing("default").is_suspicious


def test_an_order_that_klarna_knows_ends_the_suspicion(office: Office) -> None:
    office.end(*[NOT_FOUND] * policy.SUSPICIOUS_UNKNOWN)

    office.end(Acknowledged(), order=OrderSnapshot("AUTHORIZED"))

    assert not office.holds.standing("default").is_suspicious
