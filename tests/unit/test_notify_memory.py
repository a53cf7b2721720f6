"""What is told of one trouble, whatever it does: never too often, and its end is told."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from notify.memory import APART, Memory, plan
from notify.messages import MessageKind, compose
from notify.troubles import Trouble, TroubleKind
from tests.builders import NOW

KINDS = (TroubleKind.DEAD_LETTERS, TroubleKind.ACCOUNT_HELD, TroubleKind.NO_WORKER_TAKES_ORDERS)

# At each look: how large each trouble is, 0 when it is not there, and whether all was read and the
# message was taken.
LOOKS = st.lists(
    st.tuples(
        st.integers(1, 30),
        st.tuples(*(st.sampled_from([0, 0, 1, 2, 3, 40]) for _ in KINDS)),
        st.booleans(),
        st.booleans(),
    ),
    max_size=60,
)


def trouble(kind: TroubleKind, size: int) -> Trouble:
    return Trouble(kind, f"{size} of {kind}", "Act.", size=size)


@given(LOOKS)
def test_each_is_told_at_most_once_an_hour_and_its_end_once_between(
    looks: list[tuple[int, tuple[int, ...], bool, bool]],
) -> None:
    memory: Memory = {}
    now: datetime = NOW
    last_told: dict[TroubleKind, datetime] = {}
    is_told: dict[TroubleKind, bool] = dict.fromkeys(KINDS, False)
    for minutes, sizes, is_whole, is_taken in looks:
        now += timedelta(minutes=minutes)
        sizes_of = dict(zip(KINDS, sizes, strict=True))
        found = [trouble(kind, size) for kind, size in sizes_of.items() if size]
        planned = plan(found, memory, now, is_whole=is_whole)
        memory = planned.told if is_taken else planned.kept
        over = {TroubleKind(told.what.split(" of ")[1]) for told in planned.over}  # type: ignore[call-arg]  # mypy takes __new__ for the look-up
        assert {each.kind for each in planned.there}.isdisjoint(over)
        for each in planned.there if is_taken else ():
            assert now - last_told.get(each.kind, NOW - APART) >= APART
            last_told[each.kind], is_told[each.kind] = now, True
        for kind in over if is_taken else ():
            assert is_told[kind]
            assert not sizes_of[kind]
            assert is_whole
            is_told[kind] = False

    now += APART
    ended = plan([], memory, now, is_whole=True)
    assert {told.what.split(" of ")[1] for told in ended.over} == {
        str(kind) for kind in KINDS if is_told[kind]
    }
    assert plan([], ended.told, now + APART, is_whole=True).kept == {}


def test_a_message_names_so_many_and_counts_the_others() -> None:
    many = [
        Trouble(TroubleKind.ACCOUNT_HELD, f"The account a{n} is held", "Wait.", f"a{n}")
        for n in range(40)
    ]
    noticed = plan(many, {}, NOW, is_whole=True)
    assert not noticed.says_something
    told = plan(many, noticed.kept, NOW + APART, is_whole=True)
    message = compose(told, NOW + APART)
    assert (message.title, message.kind) == ("klarna-ack: 40 things are wrong", MessageKind.FAILURE)
    parts = message.body.split("\n\n")
    assert parts[14:16] == [
        "The account a14 is held\nWait.\nRunbook: KlarnaAckAccountHeld",
        "And 25 more.",
    ]

    over = plan([], told.told, NOW + 2 * APART, is_whole=True)
    message = compose(over, NOW + 2 * APART)
    assert (message.title, message.kind) == ("klarna-ack: 40 things are over", MessageKind.SUCCESS)
    assert message.body.split("\n\n")[14:] == [
        "Over after 2 h 0 min: The account a14 is held",
        "And 25 more are over.",
    ]


def test_what_is_long_is_cut() -> None:
    one = Trouble(TroubleKind.DEAD_LETTERS, "x" * 1000, "y" * 1000)
    message = compose(plan([one], {}, NOW, is_whole=True), NOW)
    assert len(message.title) == 90
    assert [len(line) for line in message.body.splitlines()[:2]] == [300, 300]
