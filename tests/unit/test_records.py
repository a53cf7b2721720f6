import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushes import life
from pushes.model import Entry, OrderSnapshot, Reason, State
from pushes.store.codec import decode, decode_entry, encode, encode_entry, salvage
from tests.builders import NOW, a_push

moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(  # noqa: DTZ001 - made aware below
    lambda naive: naive.replace(microsecond=naive.microsecond // 1000 * 1000, tzinfo=UTC)
)
texts = st.none() | st.text(min_size=1)
amounts = st.integers(-(2**63) + 1, 2**63 - 1)
orders = st.builds(
    OrderSnapshot,
    status=texts,
    fraud_status=texts,
    order_amount=st.none() | amounts,
    captured_amount=st.none() | amounts,
    refunded_amount=st.none() | amounts,
    remaining_authorized_amount=st.none() | amounts,
    purchase_currency=texts,
    expires_at=st.none() | moments,
    klarna_reference=texts,
    merchant_reference1=texts,
    merchant_reference2=texts,
)
entries = st.builds(
    Entry,
    at=moments,
    event=st.text(min_size=1),
    call=texts,
    http_status=st.none() | st.integers(100, 599),
    elapsed_ms=st.none() | st.integers(0),
    error_code=texts,
    correlation_id=texts,
    detail=texts,
    by=texts,
)


@pytest.mark.parametrize("state", list(State))
@given(order=orders, at=moments)
def test_it_reads_back_what_it_wrote(state: State, order: OrderSnapshot, at: datetime) -> None:
    push = replace(a_push(state), order=order, first_push_at=at, verified_at=at)

    assert decode(push.key, encode(push)) == push


@given(entries)
def test_it_reads_a_line_of_the_timeline_back(entry: Entry) -> None:
    assert decode_entry(encode_entry(entry)) == entry


@pytest.mark.parametrize("state", [State.QUEUED, State.ACKNOWLEDGED])
def test_it_keeps_values_short_enough_for_redis_to_pack_them(state: State) -> None:
    assert max(len(value) for value in encode(a_push(state)).values()) <= 64


# What no honest sender writes: every moment there is, amounts of any size, half characters.
extreme_moments = st.datetimes(timezones=st.just(UTC)) | st.just(
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
)
extreme_numbers = st.none() | st.integers() | st.integers(10**4000, 10**4200)
extreme_texts = (
    st.none() | st.text(st.characters(), min_size=1, max_size=40) | st.just("\ud800\x00")
)
extreme_orders = st.builds(
    OrderSnapshot,
    **dict.fromkeys(("status", "klarna_reference", "merchant_reference1"), extreme_texts),
    **dict.fromkeys(("order_amount", "captured_amount"), extreme_numbers),
    expires_at=st.none() | extreme_moments,
)
extreme_entries = st.builds(
    Entry,
    at=extreme_moments,
    event=st.just("call"),
    http_status=st.none() | st.integers(),
    elapsed_ms=st.none() | st.integers(),
    error_code=extreme_texts,
    correlation_id=extreme_texts,
    detail=extreme_texts,
)


def kept(value: object) -> object:
    """A value as the record keeps it."""
    match value:
        case datetime():
            return value.replace(microsecond=value.microsecond // 1000 * 1000)
        case int():
            return value if abs(value) < 2**63 else None
        case str():
            return value.encode(errors="replace").decode()
    return value


@given(order=extreme_orders, at=extreme_moments, error=extreme_texts)
def test_it_reads_back_whatever_it_wrote(
    order: OrderSnapshot, at: datetime, error: str | None
) -> None:
    push = replace(a_push(State.RETRYING), order=order, verified_at=at, last_error=error)

    back = decode(push.key, encode(push))

    facts = {name: kept(value) for name, value in asdict(order).items()}
    expected = replace(
        push,
        order=OrderSnapshot(**facts),  # type: ignore[arg-type]  # of the fields' types
        verified_at=kept(at),  # type: ignore[arg-type]  # as above
        last_error=kept(error),  # type: ignore[arg-type]  # as above
    )
    assert back == expected
    assert decode(push.key, encode(back)) == back


@given(extreme_entries)
def test_it_reads_a_line_of_the_timeline_back_whatever_it_says(entry: Entry) -> None:
    back = decode_entry(encode_entry(entry))

    assert decode_entry(encode_entry(back)) == back
    assert back.detail == kept(entry.detail)


@pytest.mark.parametrize(
    "fact",
    [{"event": None}, {"event": 3}, {"call": True}, {"status": "200"}, {"ms": True}, {"by": []}],
    ids=str,
)
def test_it_takes_a_line_with_a_fact_of_another_type_for_none(fact: dict[str, object]) -> None:
    line = json.dumps({"at": 1772366400.0, "event": "call", "status": 200, "by": "ops"} | fact)
    with pytest.raises(TypeError):
        decode_entry(line)


@given(st.dictionaries(st.sampled_from([*encode(a_push(State.DEAD)), "x"]), st.text(max_size=9)))
def test_it_makes_something_out_of_any_hash(raw: dict[str, str]) -> None:
    push = salvage(a_push().key, raw)
    change = life.quarantined(replace(push, unreadable="its content"), NOW)

    assert (push.state, push.reason) == (State.DEAD, Reason.UNREADABLE)
    assert change
    assert decode(push.key, encode(change.after)) == change.after


def test_it_writes_a_settled_record_in_half_the_space_and_reads_it_back() -> None:
    order = OrderSnapshot(
        "AUTHORIZED", "ACCEPTED", 19900, 0, 0, 19900, "SEK", NOW, "K4LMR8EF", "1000234", None
    )
    push = replace(
        a_push(State.ACKNOWLEDGED, order=order, correlation_id="0f6c-5d3e"),
        verified_at=NOW,
        acknowledged_at=NOW + timedelta(milliseconds=250),
    )

    written = encode(push)

    assert decode(push.key, written) == push
    long = encode(replace(push, state=State.QUEUED))
    assert 2 * len("".join(sum(written.items(), ()))) < len("".join(sum(long.items(), ())))
    assert all(len(value) < 64 for value in written.values())
