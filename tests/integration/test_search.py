from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from redis import Redis

from pushes import life
from pushes.model import Entry, HoldReason, OrderSnapshot, Push, PushKey, Reason, State
from pushes.operate import replay
from pushes.read import dead_letters
from pushes.read.cursors import CursorError, Place
from pushes.read.dead_letters import Filter
from pushes.read.search import causes, find, listing
from pushes.read.search.causes import Cause, CauseGroup
from pushes.read.search.listing import Source
from pushes.read.search.query import Query, parse
from pushes.store import keys
from pushes.store.ledger import Ledger
from pushes.store.texts import digests
from tests.builders import NOW, a_key, put
from tests.integration.test_cli_support import after, dead
from worker.periodic import prune

ORDER = OrderSnapshot(
    klarna_reference="XK3PF4P1-1", merchant_reference1="Order 4711", merchant_reference2="ERP-9"
)


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


def a_call(
    correlation_id: str, status: int | None = 200, code: str | None = None, minutes: float = 0
) -> Entry:
    return Entry(
        after(minutes),
        "call",
        call="get_order",
        http_status=status,
        error_code=code,
        correlation_id=correlation_id,
    )


def end(  # noqa: PLR0913 - how it ended, of whom, and what was seen
    ledger: Ledger,
    state: State,
    *calls: Entry,
    account: str = "default",
    order: OrderSnapshot | None = ORDER,
    reason: Reason = Reason.REJECTED,
    minutes: float = 0,
) -> PushKey:
    """An order whose attempt ended like this, as a worker commits it."""
    now = after(minutes)
    running = put(ledger, State.RUNNING, a_key(account), now)
    ending = {
        State.ACKNOWLEDGED: life.acknowledged(running, now),
        State.NOT_NEEDED: life.not_needed(running, now),
        State.RETRYING: life.retrying(running, now + timedelta(hours=1), now, error="e"),
        State.HELD: life.held(running, HoldReason.OUTAGE, now, "e"),
        State.DEAD: life.dead(running, reason, now, "e"),
    }[state]
    assert ledger.commit_many([life.reported(ending, calls, order, now)]) == [True]
    return running.key


def found(ledger: Ledger, text: str, minutes: float = 0, **query: object) -> list[PushKey]:
    wanted = replace(parse(text, after(minutes)), **query)  # type: ignore[arg-type]
    return [push.key for push in find.page(ledger, wanted, after(minutes)).items]


ENDED = [State.ACKNOWLEDGED, State.NOT_NEEDED, State.RETRYING, State.HELD, State.DEAD]


@pytest.mark.parametrize("state", ENDED)
def test_it_finds_an_order_by_each_of_its_texts(ledger: Ledger, state: State) -> None:
    key = end(ledger, state, a_call("corr-1", 500), a_call("corr-2"))
    end(ledger, state, order=OrderSnapshot(klarna_reference="other"))
    for text in ("XK3PF4P1-1", "xk3pf4p1-1", "order  4711", "ERP-9", "corr-1", "corr-2"):
        assert found(ledger, text) == [key]
    assert found(ledger, key.order_id.upper()) == [key]
    assert found(ledger, "4711") == []


def test_it_finds_an_order_that_was_only_pushed(ledger: Ledger) -> None:
    key = put(ledger, State.QUEUED).key
    assert found(ledger, key.order_id) == [key]


def test_it_finds_orders_through_their_life(ledger: Ledger) -> None:
    key = end(ledger, State.DEAD, a_call("corr-1", 400))
    replay.replay(ledger, key, by="ops", why="mended", now=after(1))
    assert found(ledger, "ERP-9") == found(ledger, "corr-1") == [key]
    assert ledger.advance(key, lambda push: life.started(push, "w", "c" * 32, after(2)))
    newer = replace(ORDER, merchant_reference2="ERP-10")

    def settle(push: Push) -> object:
        change = life.acknowledged(push, after(2))
        return life.reported(change, (a_call("corr-2", minutes=2),), newer, after(2))

    assert ledger.advance(key, settle)  # type: ignore[arg-type]  # it returns a Change
    seen = {text: found(ledger, text) for text in ("ERP-9", "ERP-10", "corr-1", "corr-2")}
    assert seen == {"ERP-9": [], "ERP-10": [key], "corr-1": [key], "corr-2": [key]}
    assert list(ledger.redis.scan_iter(f"{keys.PREFIX}:references:*")) == []


def test_it_finds_what_was_discarded_and_not_in_the_lists(ledger: Ledger) -> None:
    key = end(ledger, State.DEAD)
    replay.discard(ledger, key, by="ops", why="forged", now=NOW)
    assert found(ledger, "ERP-9") == [key]
    assert found(ledger, "state:dead") == []


def test_it_keeps_the_texts_of_settled_orders_longer_than_their_records_and_no_more(
    ledger: Ledger,
) -> None:
    ledger = Ledger(ledger.redis, retention=timedelta(days=2))
    key = end(ledger, State.ACKNOWLEDGED, a_call("corr-1"))
    parts = [
        *ledger.redis.scan_iter(f"{keys.PREFIX}:settled-references:*"),
        *ledger.redis.scan_iter(f"{keys.PREFIX}:calls:*"),
    ]
    record_s = ledger.redis.ttl(keys.record(key))
    assert len(parts) == 4
    assert all(record_s < ledger.redis.ttl(part) < record_s + 6 * 24 * 3600 for part in parts)
    assert found(ledger, "ERP-9", minutes=2 * 24 * 60) == [key]
    ledger.redis.delete(keys.record(key))  # as if it had expired
    assert found(ledger, "ERP-9") == []


def test_it_takes_an_order_out_of_the_index_that_is_forgotten(ledger: Ledger) -> None:
    key = end(ledger, State.DEAD, reason=Reason.NO_SUCH_ORDER)
    assert prune.cut_unknown(ledger, keep=0) == 1
    assert found(ledger, "ERP-9") == []
    assert not any(
        ledger.redis.zscore(name, keys.job_id(key)) is not None
        for name in ledger.redis.scan_iter(f"{keys.PREFIX}:references:*")
    )


def test_it_keeps_two_texts_apart_that_share_a_bucket(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_BUCKETS", 1)
    first, second = end(ledger, State.HELD), end(ledger, State.DEAD, order=None)
    assert found(ledger, "ERP-9") == found(ledger, "XK3PF4P1-1") == [first]
    assert set(found(ledger, "")) == {first, second}


def test_it_shows_only_what_the_reader_may_see(ledger: Ledger) -> None:
    us, eu = (end(ledger, State.DEAD, account=name) for name in ("us", "eu"))
    may_see = frozenset({"eu", "de"})
    assert found(ledger, "ERP-9", accounts=may_see) == [eu]
    assert found(ledger, "state:dead", accounts=may_see) == [eu]
    assert found(ledger, us.order_id, accounts=may_see) == []
    assert found(ledger, "account:us", accounts=may_see) == []


def test_it_narrows_what_has_a_text(ledger: Ledger) -> None:
    us = end(ledger, State.DEAD, a_call("a", 400, "BAD_VALUE"), account="us")
    eu = end(ledger, State.HELD, account="eu", minutes=5)
    settled = end(ledger, State.ACKNOWLEDGED, account="eu", minutes=10)
    assert found(ledger, "ERP-9") == [settled, eu, us]
    assert found(ledger, "ERP-9 account:eu") == [settled, eu]
    assert found(ledger, "ERP-9 state:dead") == [us]
    assert found(ledger, "ERP-9 reason:outage") == [eu]
    assert found(ledger, "ERP-9 code:BAD_VALUE") == [us]
    assert found(ledger, "ERP-9 since:2026-03-01T12:05:00Z until:2026-03-01T12:10:00Z") == [eu]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_it_pages_through_what_has_a_text(ledger: Ledger, limit: int) -> None:
    wanted = [end(ledger, State.DEAD, minutes=minutes) for minutes in range(5)][::-1]
    assert walk(ledger, Query(text="ERP-9"), limit) == wanted


def walk(ledger: Ledger, query: Query, limit: int) -> list[PushKey]:
    seen: list[PushKey] = []
    cursor = None
    while True:
        page = find.page(ledger, query, NOW, limit=limit, cursor=cursor)
        assert len(page.items) <= limit
        seen += [push.key for push in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return seen


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_it_lists_everything_by_urgency_a_page_at_a_time(ledger: Ledger, limit: int) -> None:
    groups = {state: [put(ledger, state, now=after(n)).key for n in range(3)] for state in State}
    wanted = [
        *(key for state in list(State) if state is State.RUNNING for key in groups[state]),
        *groups[State.QUEUED],
        *groups[State.RETRYING],
        *groups[State.HELD],
        *groups[State.DEAD],
        *groups[State.ACKNOWLEDGED][::-1],
        *groups[State.NOT_NEEDED][::-1],
    ]
    assert walk(ledger, Query(), limit) == wanted


@pytest.mark.parametrize("limit", [1, 2, 7])
@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"reason": Reason.REJECTED}, [0, 1, 3, 4]),
        ({"account": "us"}, [0, 2, 4]),
        ({"account": "us", "reason": Reason.REJECTED}, [0, 4]),
        ({"code": "BAD"}, [0, 2]),
        ({"code": "none"}, [4]),
        ({"code": "BAD", "account": "us", "reason": Reason.CRASH_LOOP}, [2]),
        ({"since": after(1), "until": after(4)}, [1, 2, 3]),
        ({"accounts": frozenset({"us", "eu"}), "code": "BAD"}, [0, 2]),
        ({"account": "nobody"}, []),
        ({"code": "NOWHERE"}, []),
    ],
)
def test_it_lists_dead_letters_by_whatever_they_are(
    ledger: Ledger, query: dict[str, object], wanted: list[int], limit: int
) -> None:
    bad = a_call("a", 400, "BAD")
    letters = [
        end(ledger, State.DEAD, bad, account="us", minutes=0),
        end(ledger, State.DEAD, a_call("b", 403), account="eu", minutes=1),
        end(ledger, State.DEAD, bad, account="us", reason=Reason.CRASH_LOOP, minutes=2),
        end(ledger, State.DEAD, a_call("c", None), account="de", minutes=3),
        end(ledger, State.DEAD, account="us", minutes=4),
    ]
    asked = Query(state=State.DEAD, **query)  # type: ignore[arg-type]
    assert walk(ledger, asked, limit) == [letters[number] for number in wanted]
    assert dead_letters.count(ledger.redis, find.as_filter(asked)) == len(wanted)


@pytest.mark.parametrize("limit", [1, 4, 100])
def test_it_merges_the_dead_of_many_accounts(ledger: Ledger, limit: int) -> None:
    """More indexes than are read as if each held the whole page, and a few that hold most."""
    accounts = [f"shop-{number}" for number in range(20)] + ["shop-3"] * 8 + ["shop-7"] * 3
    wanted = [
        end(ledger, State.DEAD, a_call("c", 400, "BAD_VALUE"), account=account, minutes=minutes)
        for minutes, account in enumerate(accounts)
    ]
    end(ledger, State.DEAD, a_call("c", 400, "OTHER"))
    assert walk(ledger, Query(code="BAD_VALUE"), limit) == wanted


@pytest.mark.parametrize("limit", [1, 4, 33, 500])
@pytest.mark.parametrize("backwards", [False, True])
def test_it_merges_indexes_of_any_shape(
    redis_client: Redis, limit: int, monkeypatch: pytest.MonkeyPatch, *, backwards: bool
) -> None:
    """Some are empty, some hold most; many places have the same score; not all are wanted."""
    monkeypatch.setattr(listing, "_AT_ONCE", 7)
    chance = Random(5)  # noqa: S311 - the same each time
    indexes = [f"index-{number}" for number in range(20)]
    places = [(float(chance.choice([2, 3, chance.random() * 9])), f"{n:03}") for n in range(300)]
    for score, member in places:
        redis_client.zadd(indexes[int(17 * chance.random() ** 3)], {member: score})
    source = Source(indexes, low="1", high="(8", backwards=backwards)
    walked: list[Place] = []
    after: Place | None = None
    while True:
        page = listing.read_members(
            redis_client, source, after, limit=limit, wanted=lambda member: member[-1] != "7"
        )
        walked += page.places
        assert len(page.places) <= limit
        if (after := page.last) is None:
            break
    wanted = [place for place in places if 1 <= place[0] < 8 and place[1][-1] != "7"]
    assert walked == sorted(wanted, reverse=backwards)
    assert listing.count(redis_client, source) == sum(1 <= score < 8 for score, _ in places)
    assert listing.count(redis_client, Source(indexes)) == len(places)


@pytest.mark.parametrize("state", [State.QUEUED, State.RETRYING, State.ACKNOWLEDGED])
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_it_lists_those_of_some_accounts(
    ledger: Ledger, state: State, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_CHUNK", 4)
    names = ["norway", *["sweden"] * 6, "denmark", *["sweden"] * 5, "norway", "denmark"]
    pushed = [
        put(ledger, state, a_key(name), after(minutes)).key for minutes, name in enumerate(names)
    ]
    for name in ("norway", "denmark"):
        wanted = [key for key in pushed if key.account == name]
        wanted = wanted[::-1] if state.is_settled else wanted
        assert walk(ledger, Query(state=state, account=name), limit) == wanted
    two = frozenset({"norway", "denmark"})
    both = [key for key in pushed if key.account in two]
    both = both[::-1] if state.is_settled else both
    assert walk(ledger, Query(state=state, accounts=two), limit) == both
    assert walk(ledger, Query(state=state, account="sweden", accounts=two), limit) == []


def test_it_goes_on_behind_many_that_died_at_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_CHUNK", 2)
    letters = [dead(ledger, account=name) for name in ("a", "b", "a", "b", "a", "a", "a")]
    wanted = sorted(letters, key=keys.job_id)
    everyone = Query(state=State.DEAD, accounts=frozenset({"a", "b"}))
    assert walk(ledger, everyone, 1) == walk(ledger, everyone, 3) == wanted


def test_it_looks_at_so_many_a_page_and_says_where_to_go_on(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_CHUNK", 3)
    monkeypatch.setattr(listing, "READ_AT_MOST", 6)
    monkeypatch.setattr(find, "_RECORDS_A_PAGE", 6)
    for minutes in range(10):
        put(ledger, State.ACKNOWLEDGED, a_key("eu"), after(minutes))
    wanted = put(ledger, State.ACKNOWLEDGED, a_key("us"), after(-1)).key
    query = Query(state=State.ACKNOWLEDGED, account="us")
    page = find.page(ledger, query, NOW, limit=2)
    assert (page.items, page.next_cursor is None) == ((), False)
    assert walk(ledger, query, 2) == [wanted]


@pytest.mark.parametrize("cursor", ["x", "dead~x", "gone~1:a", "held~"])
def test_it_refuses_a_cursor_of_no_page(ledger: Ledger, cursor: str) -> None:
    with pytest.raises(CursorError):
        find.page(ledger, Query(state=State.DEAD), NOW, cursor=cursor)
    with pytest.raises(CursorError):
        find.page(ledger, Query(text="a"), NOW, cursor=cursor)


def test_it_groups_dead_letters_by_cause(ledger: Ledger) -> None:
    bad = a_call("a", 400, "BAD")
    keys_of_bad = [end(ledger, State.DEAD, bad, account="us", minutes=m) for m in (0, 7)]
    end(ledger, State.DEAD, a_call("b", 500), account="us", reason=Reason.RETRIES_EXHAUSTED)
    end(ledger, State.DEAD, a_call("c", 400, "spaces are no code"), account="eu", minutes=3)
    end(ledger, State.DEAD, a_call("c", None), account="eu", minutes=2)
    end(ledger, State.DEAD, account="eu", reason=Reason.UNREADABLE, minutes=1)
    wanted = [
        CauseGroup(Cause("us", Reason.REJECTED, "BAD"), 2, NOW, after(7)),
        CauseGroup(Cause("eu", Reason.REJECTED, "HTTP_400"), 1, after(3), after(3)),
        CauseGroup(Cause("eu", Reason.REJECTED, "NO_ANSWER"), 1, after(2), after(2)),
        CauseGroup(Cause("eu", Reason.UNREADABLE, None), 1, after(1), after(1)),
        CauseGroup(Cause("us", Reason.RETRIES_EXHAUSTED, "HTTP_500"), 1, NOW, NOW),
    ]
    assert list(causes.page(ledger.redis).items) == wanted

    first = causes.page(ledger.redis, limit=2)
    second = causes.page(ledger.redis, limit=2, cursor=first.next_cursor)
    third = causes.page(ledger.redis, limit=2, cursor=second.next_cursor)
    assert [*first.items, *second.items, *third.items] == wanted
    assert third.next_cursor is None
    only = causes.page(ledger.redis, Filter(account="eu", code="none").takes_cause)
    assert list(only.items) == wanted[3:4]

    for key in keys_of_bad:
        replay.replay(ledger, key, by="ops", why="mended", now=after(9))
    assert list(causes.page(ledger.redis).items) == wanted[1:]
    prune.forget_causes(ledger.redis)
    assert ledger.redis.zcard(keys.CAUSES) == 4


@pytest.mark.parametrize("cursor", ["x", "1:x", "soon:klarna-ack:dead:us:rejected:none"])
def test_it_refuses_a_cursor_of_no_page_of_causes(ledger: Ledger, cursor: str) -> None:
    with pytest.raises(CursorError):
        causes.page(ledger.redis, cursor=cursor)


def test_it_reads_a_dead_letter_of_before_there_were_causes(ledger: Ledger) -> None:
    key = dead(ledger)
    cause = keys.cause(key.account, Reason.REJECTED, None)
    ledger.redis.delete(cause, keys.CAUSES)
    assert found(ledger, "state:dead") == [key]
    replay.replay(ledger, key, by="ops", why="mended", now=after(1))
    assert found(ledger, "state:queued") == [key]
