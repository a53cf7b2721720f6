"""Finding orders: by id, reference or correlation id, and by what a `Query` says besides.

A text is looked up in the index of texts; without one the smallest indexes are listed that hold
what is asked for: those that wait by their deadline, then dead letters by their death, then what
is settled, the latest first. Nothing is scanned, and no page reads more than so many entries.
Changes nothing. Every function raises RedisError.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import cast

from redis import Redis

from pushes.model import PUSH_WINDOW, HoldReason, Push, PushKey, Reason, State, is_order_id
from pushes.read import cursors, dead_letters
from pushes.read.cursors import Place
from pushes.read.dead_letters import Filter
from pushes.read.search import listing
from pushes.read.search.listing import Source
from pushes.read.search.query import Query
from pushes.store import codec, indexes, keys, records
from pushes.store.ledger import Ledger
from pushes.store.texts import digests, search_index
from pushes.store.texts.digests import Kind

# So many orders are looked at that may have one text: more have a text that says nothing.
_HITS = 1000

# What is asked of records, and not of an index, is asked of so many a page.
_RECORDS_A_PAGE = 1000

# The order in which states are listed, when none is asked for.
_STATES = (
    *(State.RUNNING, State.QUEUED, State.RETRYING, State.HELD, State.DEAD),
    *(State.ACKNOWLEDGED, State.NOT_NEEDED),
)

# The states whose orders stand in indexes of each account, too.
_BY_ACCOUNT = (State.HELD, State.DEAD)


@dataclass(frozen=True, slots=True)
class Found:
    """Orders, and where the next page begins, if there is one.

    There may be a next page although this one is not full: no page looks at more than so many.
    """

    items: tuple[Push, ...]
    next_cursor: str | None


def page(
    ledger: Ledger, wanted: Query, now: datetime, *, limit: int = 50, cursor: str | None = None
) -> Found:
    """Find one page. Raises CursorError for a cursor that no page gave."""
    if wanted.text is not None:
        hits = keys_of(ledger, wanted.text, now)
        return _of(ledger.redis, hits, wanted, limit, cursor)
    return _listed(ledger.redis, wanted, limit, cursor)


def count(redis: Redis, wanted: Query) -> int | None:
    """Count what a query about one state and nothing but an account finds; None when it cannot.

    Of one account's orders most indexes are not kept apart.
    """
    if wanted.state is None or not (wanted.account is None or wanted.state in _BY_ACCOUNT):
        return None
    return listing.count(redis, _source_of(redis, wanted, wanted.state))


def keys_of(ledger: Ledger, text: str, now: datetime) -> list[PushKey]:
    """Name the orders that may have a text: whether they do, their records say."""
    redis = ledger.redis
    pipeline = redis.pipeline(transaction=False)
    bucket, score = digests.digest(text)
    for kind in Kind:
        for part in search_index.parts(kind, bucket, now, ledger.retention):
            pipeline.zrangebyscore(part, score, score, 0, _HITS)
    for part in search_index.call_parts(bucket, now, ledger.retention):
        pipeline.hget(part, str(score))
    order_id = text.strip().lower()
    accounts = indexes.accounts(redis) if is_order_id(order_id) else []
    by_id = [PushKey(account, order_id) for account in accounts]
    for key in by_id:
        pipeline.exists(keys.record(key))
    answers = cast(list[object], pipeline.execute(raise_on_error=False))
    there = answers[len(answers) - len(by_id) :] if by_id else []
    found = [key for key, exists in zip(by_id, there, strict=True) if exists == 1]
    members = map(keys.find_key, _members(answers[: len(answers) - len(by_id)]))
    return list(dict.fromkeys([*found, *(key for key in members if key)]))


def _members(answers: Sequence[object]) -> Iterator[bytes]:
    for answer in answers:  # an error is that of a key of a wrong type
        if isinstance(answer, bytes):
            yield answer
        elif isinstance(answer, list):
            yield from answer


def _of(
    redis: Redis, hits: Sequence[PushKey], wanted: Query, limit: int, cursor: str | None
) -> Found:
    """List those of some orders that are wanted, the last pushed first."""
    after = cursors.read(cursor) if cursor else None
    hits = [key for key in hits if wanted.takes_account(key.account)]
    pushes = [push for push in records.get_many(redis, hits[:_HITS]) if push]
    places = sorted(
        ((_place(push), push) for push in pushes if _matches(push, wanted)),
        key=lambda pair: pair[0],
        reverse=True,
    )
    left = [pair for pair in places if after is None or pair[0] < after]
    following = cursors.write(left[limit - 1][0]) if len(left) > limit else None
    return Found(tuple(push for _, push in left[:limit]), following)


def _place(push: Push) -> Place:
    return float(codec.epoch(push.first_push_at)), keys.job_id(push.key)


def _listed(redis: Redis, wanted: Query, limit: int, cursor: str | None) -> Found:
    state, after = _read_cursor(cursor) if cursor else (None, None)
    states = _states(wanted)
    if state is not None:
        if state not in states:
            raise cursors.wrong(cursor or "")
        states = states[states.index(state) :]
    items: list[Push] = []
    looked_at = 0
    for now_at in states:
        source = _source_of(redis, wanted, now_at)
        while True:
            takes = partial(_takes, wanted)
            found = listing.read(redis, source, after, limit=limit - len(items), wanted=takes)
            looked_at += found.looked_at
            pushes = records.get_many(redis, [keys.parse_job_id(name) for _, name in found.places])
            # An order may have left the state between reading the index and reading its record.
            items += [
                push for push in pushes if push and push.state is now_at and _matches(push, wanted)
            ]
            after = found.last
            is_done = len(items) >= limit or looked_at >= _RECORDS_A_PAGE
            if after is None or is_done:
                break
        if after is not None:
            return Found(tuple(items), f"{now_at}~{cursors.write(after)}")
        if is_done and now_at is not states[-1]:
            following = states[states.index(now_at) + 1]
            return Found(tuple(items), f"{following}~")
    return Found(tuple(items), None)


def _takes(wanted: Query, key: PushKey) -> bool:
    return wanted.takes_account(key.account)


def _source_of(redis: Redis, wanted: Query, state: State) -> Source:
    """Name the smallest indexes that hold what is wanted of the orders in one state."""
    since, until = wanted.since, wanted.until
    if state is State.DEAD:
        return dead_letters.source(redis, as_filter(wanted))
    if state.is_waiting:  # by deadline: 48 hours after the first push
        since, until = since and since + PUSH_WINDOW, until and until + PUSH_WINDOW
    low = codec.epoch(since) if since else "-inf"
    high = f"({codec.epoch(until)}" if until else "+inf"
    of_account = state is State.HELD and wanted.account
    index = keys.held(of_account) if of_account else keys.index(state)
    accounts = wanted.accounts
    if wanted.account:
        accounts = frozenset([wanted.account] if wanted.takes_account(wanted.account) else [])
    return Source([index], low, high, backwards=state.is_settled, accounts=accounts)


def as_filter(wanted: Query) -> Filter:
    """Make the filter that lists the dead letters which a query without a text is about."""
    reason = wanted.reason if isinstance(wanted.reason, Reason) else None
    return Filter(reason, wanted.account, wanted.since, wanted.until, wanted.code, wanted.accounts)


def _states(wanted: Query) -> Sequence[State]:
    if wanted.state:
        return (wanted.state,)
    if isinstance(wanted.reason, HoldReason):
        return (State.HELD,)
    return (State.DEAD,) if wanted.reason or wanted.code else _STATES


def _matches(push: Push, wanted: Query) -> bool:
    """Whether a record is what is wanted, now that it has been read."""
    at = push.first_push_at if push.state.is_waiting else push.changed_at
    return (
        wanted.state in {None, push.state}
        and wanted.reason in {None, push.reason}
        and wanted.code in {None, push.error_code or keys.NO_CODE}
        and (wanted.since is None or at >= wanted.since)
        and (wanted.until is None or at < wanted.until)
        and not (push.discarded and wanted.text is None)
    )


def _read_cursor(cursor: str) -> tuple[State, Place | None]:
    word, _, place = cursor.partition("~")
    try:
        return State.of(word), cursors.read(place) if place else None
    except ValueError as error:
        raise cursors.wrong(cursor) from error
