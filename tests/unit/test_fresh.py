"""What a template says of a push is what the ledger would have said."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from random import random
from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from pushes import life
from pushes.life import Origin
from pushes.model import Change, PushKey, State
from pushes.store.ledger import Ledger
from pushes.store.templates import Templates
from tests.builders import NOW, a_key, history

LEDGER = Ledger(Redis())  # it connects to nothing
ORDER_IDS = st.from_regex(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", fullmatch=True)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001 - made aware next
    lambda moment: moment.replace(tzinfo=UTC)
)


class Writer:
    """Writes as the ledger does, and counts."""

    def __init__(self) -> None:
        self.written = 0

    def __call__(self, change: Change) -> str:
        self.written += 1
        return LEDGER.text(change)


def a_fresh_push(event: str = "pushed", by: str | None = None) -> Change:
    return life.pushed(None, a_key(), NOW, Origin(event, by))


def meaning(text: str) -> object:
    """The commands, with the timeline's JSON read too: 1.5 and 1.500 are the same time."""
    commands = json.loads(text)
    return [
        [json.loads(word) if str(word).startswith('{"at"') else word for word in command]
        for command in cast(list[list[str]], commands)
    ]


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True), ORDER_IDS, MOMENTS)
def test_it_says_what_the_ledger_says(account: str, order_id: str, now: datetime) -> None:
    change = life.pushed(None, PushKey(account, order_id), now)
    assert meaning(LEDGER.templates.text(change)) == meaning(LEDGER.text(change))


@given(st.text(max_size=20), st.text(max_size=20))
def test_it_says_who_pushed_by_hand(event: str, by: str) -> None:
    change = a_fresh_push(event, by)
    assert meaning(Templates(LEDGER.text).text(change)) == meaning(LEDGER.text(change))


def test_it_writes_the_long_way_only_for_the_first_of_a_kind() -> None:
    writer = Writer()
    templates = Templates(writer)

    for _ in range(100):
        templates.text(a_fresh_push())

    assert writer.written == 2


def test_it_tells_every_kind_apart() -> None:
    kinds = [
        a_fresh_push(),
        a_fresh_push("queued_by_hand", "ada"),
        a_fresh_push("queued_by_hand", "100%s"),
        life.pushed(None, a_key("sweden"), NOW),
    ]
    kinds += [replace(one, after=replace(one.after, worker="w-1")) for one in kinds]
    templates = Templates(LEDGER.text)

    for change in kinds * 2:
        assert meaning(templates.text(change)) == meaning(LEDGER.text(change))


def test_it_has_no_template_for_what_tells_of_several_times() -> None:
    fresh = a_fresh_push()
    later = NOW.replace(hour=13)
    others = [
        *history(State.DEAD, a_key())[1:],
        replace(fresh, entries=()),
        replace(fresh, entries=fresh.entries * 2),
        replace(fresh, after=replace(fresh.after, first_push_at=later)),
        replace(fresh, after=replace(fresh.after, last_push_at=later)),
        replace(fresh, entries=(replace(fresh.entries[0], at=later),)),
    ]
    writer = Writer()
    templates = Templates(writer)

    for change in others * 2:
        assert templates.text(change) == LEDGER.text(change)
    assert writer.written == 2 * len(others)


def test_it_trusts_no_template_that_does_not_hold_for_a_second_push() -> None:
    templates = Templates(lambda change: f"{change.after.key.order_id} {random()}")  # noqa: S311 - no secret

    assert templates.text(a_fresh_push()) != templates.text(a_fresh_push())


def test_it_keeps_no_more_templates_than_it_needs() -> None:
    writer = Writer()
    templates = Templates(writer)
    for number in range(300):
        templates.text(a_fresh_push("queued_by_hand", str(number)))
    writer.written = 0

    templates.text(a_fresh_push("queued_by_hand", "0"))
    templates.text(a_fresh_push("queued_by_hand", "299"))

    assert writer.written == 1
