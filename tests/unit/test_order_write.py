from dataclasses import replace
from datetime import timedelta

import pytest

from pushes import life, order_write
from pushes.model import Entry, HoldReason, OrderSnapshot, Push, PushKey, State
from pushes.order_write import OrderAnswer, OrderWrite, WriteResult
from tests.builders import NOW, a_key, a_push

LATER = NOW + timedelta(minutes=7)
CALL = Entry(LATER, "call", "capture", 201, 17, None, "c-1")
SEEN = OrderSnapshot(status="CAPTURED", order_amount=6000)


def a_write(
    call: str = "capture", body: bytes | None = b"{}", key: PushKey | None = None
) -> OrderWrite:
    return OrderWrite(key or a_key(), call, body, "60.00 SEK")


def after(push: Push, write: OrderWrite, result: WriteResult = WriteResult.DONE) -> Push:
    return order_write.answered(push, write, OrderAnswer(result, (CALL,), SEEN), LATER).after


def test_it_names_the_same_write_by_the_same_key_and_no_other() -> None:
    key = a_key()
    write = a_write(key=key)
    assert write.idempotency_key(NOW) == a_write(key=key).idempotency_key(NOW)
    others = [
        a_write(key=key).idempotency_key(LATER),
        a_write("cancel", key=key).idempotency_key(NOW),
        a_write(body=b'{"x":1}', key=key).idempotency_key(NOW),
        a_write(body=None, key=key).idempotency_key(NOW),
        a_write().idempotency_key(NOW),
        a_write(key=PushKey("other", key.order_id)).idempotency_key(NOW),
    ]
    assert len({write.idempotency_key(NOW), *others}) == 7


def test_it_notes_who_asks_for_what_before_it_is_sent() -> None:
    push = a_push(State.RETRYING)
    change = order_write.asked(push, a_write(), "anna", "it was sent", NOW)
    assert change.after == replace(push, rev=push.rev + 1)
    assert change.entries == (
        Entry(NOW, "asked_by_operator", "capture", detail="60.00 SEK: it was sent", by="anna"),
    )
    assert not change.moves_job
    bare = order_write.asked(push, OrderWrite(push.key, "cancel"), "anna", None, NOW)
    assert bare.entries == (Entry(NOW, "asked_by_operator", "cancel", by="anna"),)


@pytest.mark.parametrize("state", [State.QUEUED, State.RETRYING, State.HELD, State.DEAD])
@pytest.mark.parametrize("call", ["acknowledge", "capture", "cancel"])
def test_it_settles_what_waits_or_is_dead(state: State, call: str) -> None:
    push = a_push(state)
    answer = OrderAnswer(WriteResult.DONE, (CALL,), SEEN)
    change = order_write.answered(push, a_write(call), answer, LATER)
    settled = State.NOT_NEEDED if call == "cancel" else State.ACKNOWLEDGED
    assert change.after == replace(
        push,
        state=settled,
        rev=push.rev + 1,
        changed_at=LATER,
        reason=None,
        next_attempt_at=None,
        after_failure=False,
        acknowledged_at=None if call == "cancel" else LATER,
        idempotent_since=None,
        last_error=None,
        correlation_id="c-1",
        verified_at=LATER,
        order=SEEN,
    )
    assert change.entries == (CALL, Entry(LATER, str(settled)))
    assert change.moves_job


@pytest.mark.parametrize("state", [State.RUNNING, State.ACKNOWLEDGED, State.NOT_NEEDED])
def test_it_leaves_an_attempt_and_what_is_settled_alone(state: State) -> None:
    push = a_push(state)
    noted = after(push, a_write("acknowledge"))
    assert (noted.state, noted.execution_id) == (state, push.execution_id)
    assert (noted.rev, noted.order, noted.verified_at) == (push.rev + 1, SEEN, LATER)


def test_it_leaves_what_was_discarded_alone() -> None:
    discarded = life.discarded(a_push(State.DEAD), "ops", "a test", NOW)
    assert discarded
    noted = after(discarded.after, a_write("acknowledge"))
    assert (noted.state, noted.discarded) == (State.DEAD, True)


@pytest.mark.parametrize("result", [WriteResult.REFUSED, WriteResult.UNKNOWN])
def test_it_settles_nothing_that_klarna_is_not_known_to_have_done(result: WriteResult) -> None:
    push = a_push(State.HELD)
    assert after(push, a_write("acknowledge"), result).state is State.HELD
    assert push.reason is HoldReason.CREDENTIALS


@pytest.mark.parametrize("call", ["update_authorization", "add_shipping_info"])
def test_it_settles_nothing_by_what_acknowledges_nothing(call: str) -> None:
    assert after(a_push(State.RETRYING), a_write(call)).state is State.RETRYING
