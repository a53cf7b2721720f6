from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushes.model import Entry, OrderSnapshot, State
from pushes.store.codec import decode, decode_entry, encode, encode_entry
from tests.builders import a_push

moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(  # noqa: DTZ001 - made aware below
    lambda naive: naive.replace(microsecond=naive.microsecond // 1000 * 1000, tzinfo=UTC)
)
texts = st.none() | st.text(min_size=1)
orders = st.builds(
    OrderSnapshot,
    status=texts,
    fraud_status=texts,
    order_amount=st.none() | st.integers(),
    captured_amount=st.none() | st.integers(),
    refunded_amount=st.none() | st.integers(),
    remaining_authorized_amount=st.none() | st.integers(),
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
