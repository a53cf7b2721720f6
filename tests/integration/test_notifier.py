"""Recipients of NOTIFY_URLS are told what is wrong and what is over: once, and by one process."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from redis import Redis
from structlog.testing import capture_logs

from notify import delivery, messages
from notify.messages import Message
from notify.notifier import Notifier
from notify.recipients import Recipient, parse
from notify.troubles import DEADLINE_NEAR_H, WAITS_LONG, TroubleKind
from pushes.accounts.holds import Holds
from pushes.model import HoldReason, State
from pushes.read import alarms
from pushes.read.alarms import Alarm
from pushes.read.search.moments import describe_span
from pushes.store import keys
from pushes.store.ledger import Ledger
from tests.builders import NOW, a_key, history, put
from tests.documents import NOTIFICATIONS, RUNBOOK, table, words
from tests.receivers import URL_SECRET, MessageReceiver, receiving
from worker.periodic.heartbeat import Heartbeat

HOUR = timedelta(hours=1)

# What is told of the end of `no_append_only_file`.
PERSISTS = "success: over: Redis does not keep what it is given: its append-only file is off, so a…"


@pytest.fixture
def worker(redis_client: Redis) -> Heartbeat:
    worker = Heartbeat(redis_client, Ledger(redis_client).rq)
    worker.register_birth()  # type: ignore[no-untyped-call]  # RQ gives it no types
    worker.beat(0, 0)
    return worker


@pytest.fixture
def ledger(worker: Heartbeat) -> Ledger:
    return Ledger(worker.connection)


@pytest.fixture
def receiver() -> Iterator[MessageReceiver]:
    with receiving() as receiver:
        yield receiver


class Somebody:
    """Takes messages, or does not, and says what is told from one moment to the next."""

    def __init__(self, ledger: Ledger, number: int = 1) -> None:
        self.ledger, self.now = ledger, NOW
        self.error = ""
        self.recipient = Recipient(number, "JSON", f"json://{number}")
        self.got: list[Message] = []
        self.last: list[Message] = []

    def deliver(self, recipient: Recipient, message: Message) -> str:
        assert recipient is self.recipient
        if not self.error:
            self.got.append(message)
        return self.error

    def bodies(self) -> list[str]:
        """Do the same, and return what is told, trouble by trouble."""
        self.look()
        return [part for one in self.last for part in one.body.split("\n\n")]

    def look(self, after: timedelta = timedelta(minutes=1)) -> list[str]:
        """Let time pass, let a worker look, and return the titles of what is told."""
        self.now += after
        self.ledger.redis.delete(keys.notify_lease(self.recipient.key))
        Notifier(self.ledger, self.recipient, self.deliver).scan(self.now)
        told = [f"{one.kind}: {one.title.removeprefix('klarna-ack: ')}" for one in self.got]
        self.last, self.got = self.got, []
        return told


def dead(ledger: Ledger, count: int, account: str = "default") -> None:
    for _ in range(count):
        pushed, started, ended = history(State.DEAD, a_key(account))
        assert ledger.commit_many([pushed]) == [True]
        assert ledger.commit_many([started]) == [True]
        assert ledger.commit_many([ended]) == [True]


def test_a_thousand_dead_letters_of_one_cause_are_one_message(
    ledger: Ledger, receiver: MessageReceiver
) -> None:
    dead(ledger, 1000)
    (recipient,) = parse(receiver.url)
    notifier = Notifier(ledger, recipient)

    notifier.scan(NOW)

    ((kind, title, text),) = receiver.taken()
    what = "1,000 dead letters of the account default: no_such_order."
    assert (kind, title) == ("warning", f"klarna-ack: {what}")
    told, ending = text.split("\n\n")
    assert told.splitlines()[0] == what
    assert told.splitlines()[2] == "Runbook: KlarnaAckDeadLetters"
    assert ending == "`klarna-ack status` has it all; docs/runbook.md says more under each name."

    ledger.redis.delete(keys.notify_lease(recipient.key))
    notifier.scan(NOW + timedelta(minutes=1))
    assert receiver.taken() == []


def test_causes_are_told_apart_in_one_message(ledger: Ledger) -> None:
    somebody = Somebody(ledger)
    dead(ledger, 2)
    dead(ledger, 3, "sweden")
    assert somebody.look() == ["warning: 2 things are wrong"]


def test_a_cause_is_told_again_when_it_has_doubled_but_not_within_an_hour(ledger: Ledger) -> None:
    somebody = Somebody(ledger)
    dead(ledger, 2)
    first, second, fourth = (
        f"warning: {n} dead letters of the account default: no_such_order." for n in (2, 4, 16)
    )
    assert somebody.look() == [first]
    dead(ledger, 1)
    assert somebody.look(HOUR) == []
    dead(ledger, 1)
    assert somebody.look() == [second]
    dead(ledger, 12)
    assert [somebody.look() for _ in range(59)] == [[]] * 59
    assert somebody.look() == [fourth]


Mend = Callable[[], object]
Break = Callable[[Ledger, Heartbeat], Mend]


def no_worker(_: Ledger, worker: Heartbeat) -> Mend:
    worker.register_death()  # type: ignore[no-untyped-call]

    def start() -> None:
        worker.register_birth()  # type: ignore[no-untyped-call]
        worker.beat(0, 0)

    return start


def suspended(ledger: Ledger, _: Heartbeat) -> Mend:
    ledger.redis.set("rq:suspended", 1)
    return lambda: ledger.redis.delete("rq:suspended")


def held(ledger: Ledger, _: Heartbeat) -> Mend:
    ledger.redis.sadd(keys.ACCOUNTS, "default")
    Holds(ledger.redis).begin("default", HoldReason.OUTAGE, "HTTP 503")
    return lambda: Holds(ledger.redis).end("default")


def an_order(state: State, age: timedelta) -> Break:
    def put_it(ledger: Ledger, _: Heartbeat) -> Mend:
        push = put(ledger, state, now=NOW - age)
        return lambda: ledger.remove_many([push])

    return put_it


def an_alarm(alarm: Alarm) -> Break:
    def raise_it(ledger: Ledger, _: Heartbeat) -> Mend:
        alarms.set_off(ledger.redis, alarm, NOW)
        return lambda: alarms.clear(ledger.redis, alarm)

    return raise_it


def no_append_only_file(ledger: Ledger, _: Heartbeat) -> Mend:
    ledger.redis.config_set("appendonly", "no")
    return lambda: ledger.redis.config_set("appendonly", "yes")


def unreadable(ledger: Ledger, _: Heartbeat) -> Mend:
    ledger.redis.set(keys.COUNTERS, "x")
    return lambda: ledger.redis.delete(keys.COUNTERS)


# What breaks each thing, and the first words of what is told of it.
WRONG: dict[TroubleKind, tuple[Break, str]] = {
    TroubleKind.PUSHES_NOT_REACHING_US: (
        an_alarm(Alarm.PUSHES_NOT_REACHING_US),
        "Klarna should have pushed orders again",
    ),
    TroubleKind.PUSHES_REFUSED: (an_alarm(Alarm.PUSHES_REFUSED), "Pushes with a wrong token keep"),
    TroubleKind.ACCOUNT_NOT_SERVED: (
        an_alarm(Alarm.ACCOUNT_NOT_SERVED),
        "An account has orders, and no worker",
    ),
    TroubleKind.ACCOUNT_HELD: (held, "The account default is held (outage): HTTP 503"),
    TroubleKind.NO_WORKER_TAKES_ORDERS: (no_worker, "No worker is alive, so no order is"),
    TroubleKind.SUSPENDED: (suspended, "The workers are told to take no orders"),
    TroubleKind.ORDER_WAITS_LONG: (
        an_order(State.RETRYING, timedelta(hours=5)),
        "An order has waited for 5 h",
    ),
    TroubleKind.DEADLINE_NEAR: (
        an_order(State.DEAD, timedelta(hours=37)),
        "1 order has less than 12 hours left",
    ),
    TroubleKind.REDIS_DOES_NOT_PERSIST: (no_append_only_file, "Redis does not keep what it is"),
    TroubleKind.UNREADABLE: (unreadable, "1 fact in Redis cannot be read"),
    TroubleKind.DEAD_LETTERS: (an_order(State.DEAD, HOUR), "1 dead letter of the account default"),
    TroubleKind.DEADLINE_PASSED: (
        an_order(State.RETRYING, timedelta(hours=49)),
        "1 order is past the deadline",
    ),
}


def test_nothing_is_told_while_all_is_well(ledger: Ledger) -> None:
    put(ledger, State.QUEUED)
    assert Somebody(ledger).look() == []


def test_every_kind_of_trouble_is_tried() -> None:
    assert list(WRONG) == list(TroubleKind)


@pytest.mark.parametrize("kind", WRONG)
def test_it_is_told_once_it_has_lasted_and_when_it_is_over(
    kind: TroubleKind, ledger: Ledger, worker: Heartbeat
) -> None:
    somebody = Somebody(ledger)
    break_it, words = WRONG[kind]
    mend = break_it(ledger, worker)
    try:
        waited = timedelta(0)
        while not (told := somebody.bodies()):
            assert waited <= kind.patience
            waited += timedelta(minutes=1)
        assert waited == kind.patience
        (first, *_) = [part for part in told if part.startswith(words)]
        assert first.splitlines()[2] == f"Runbook: {kind.heading}"
        assert first.splitlines()[1]
        assert [somebody.bodies() for _ in range(3)] == [[]] * 3
    finally:
        mend()

    took = describe_span((waited + timedelta(minutes=4)).total_seconds())
    over = somebody.bodies()
    assert [part for part in over if part.startswith(f"Over after {took}: {words}")]
    assert all(part.startswith("Over after ") for part in over)
    assert somebody.bodies() == []


def test_what_comes_and_goes_within_its_patience_is_not_told(
    ledger: Ledger, worker: Heartbeat
) -> None:
    somebody = Somebody(ledger)
    mend = held(ledger, worker)
    assert [somebody.look() for _ in range(4)] == [[]] * 4
    mend()
    assert [somebody.look() for _ in range(4)] == [[]] * 4
    assert ledger.redis.hgetall(keys.notify_told(somebody.recipient.key)) == {}


def test_in_an_hour_a_trouble_is_told_once_and_its_end_once(
    ledger: Ledger, worker: Heartbeat
) -> None:
    somebody = Somebody(ledger)
    told: list[tuple[int, str]] = []
    mend: Mend | None = None
    for minute in range(130):  # every ten minutes Redis persists again, and ten later not
        if minute % 10 == 0:
            if mend:
                mend()
            mend = None if mend else no_append_only_file(ledger, worker)
        told += [(minute, title) for title in somebody.look()]
    if mend:
        mend()
    assert [(minute, title.partition(":")[0]) for minute, title in told] == [
        (0, "failure"),
        (10, "success"),
        (60, "failure"),
        (70, "success"),
        (120, "failure"),
    ]


def test_while_something_cannot_be_read_nothing_counts_as_over(
    ledger: Ledger, worker: Heartbeat
) -> None:
    somebody = Somebody(ledger)
    mend = no_append_only_file(ledger, worker)
    assert len(somebody.look()) == 1
    readable = unreadable(ledger, worker)
    mend()
    assert [somebody.look() for _ in range(3)] == [[]] * 3
    readable()
    assert somebody.look() == [PERSISTS]


def test_of_several_workers_that_look_at_once_one_tells(
    ledger: Ledger, receiver: MessageReceiver
) -> None:
    dead(ledger, 1)
    (recipient,) = parse(receiver.url)
    together = Barrier(4)

    def look() -> None:
        notifier = Notifier(ledger, recipient)
        together.wait()
        notifier.scan(NOW)

    threads = [Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.taken()) == 1
    assert 50 < ledger.redis.ttl(keys.notify_lease(recipient.key)) <= 60


def test_one_that_does_not_take_it_is_told_later_and_holds_up_no_other(
    ledger: Ledger, worker: Heartbeat
) -> None:
    first, second = Somebody(ledger, 1), Somebody(ledger, 2)
    mend = no_append_only_file(ledger, worker)
    first.error = "HTTP 500"
    with capture_logs() as logged:
        assert [first.look() for _ in range(3)] == [[]] * 3
        assert len(second.look()) == 1
    assert [(line["event"], line["recipient"]) for line in logged] == [
        *[("notify.not_taken", "1 (JSON)")] * 3,  # each look is another process's
        ("notify.told", "2 (JSON)"),
    ]

    first.error = ""
    assert len(first.look()) == 1
    first.error = "no answer within 20 s"
    mend()
    assert first.look() == []
    first.error = ""
    assert first.look() == [PERSISTS]


def test_one_process_logs_each_error_of_a_recipient_once(
    ledger: Ledger, receiver: MessageReceiver
) -> None:
    dead(ledger, 1)
    (recipient,) = parse(receiver.url)
    notifier = Notifier(ledger, recipient)
    errors = []
    for status in (500, 500, 403, 200, 200):
        receiver.status = status
        ledger.redis.delete(keys.notify_lease(recipient.key))
        with capture_logs() as logged:
            notifier.scan(NOW)
        assert URL_SECRET not in str(logged)
        errors.append([line.get("error", line["event"]) for line in logged])
    assert errors == [["HTTP 500"], [], ["HTTP 403"], ["notify.told"], []]


def test_a_message_that_was_taken_and_not_noted_is_sent_again(ledger: Ledger) -> None:
    dead(ledger, 1)
    somebody = Somebody(ledger)
    place = keys.notify_told(somebody.recipient.key)
    assert len(somebody.look()) == 1
    ledger.redis.delete(place)
    assert len(somebody.look()) == 1
    assert 0 < ledger.redis.ttl(place) <= 7 * 86400


def test_what_no_version_wrote_is_no_memory(ledger: Ledger) -> None:
    somebody = Somebody(ledger)
    dead(ledger, 1)
    name = "dead_letters:default:no_such_order:-"
    ledger.redis.hset(keys.notify_told(somebody.recipient.key), mapping={name: "x", "y": "{}"})
    assert len(somebody.look()) == 1


def test_neither_url_nor_secret_is_written_to_redis(
    ledger: Ledger, receiver: MessageReceiver
) -> None:
    dead(ledger, 1)
    (recipient,) = parse(receiver.url)
    Notifier(ledger, recipient).scan(NOW)
    assert len(receiver.taken()) == 1
    stored = [ledger.redis.dump(name) for name in ledger.redis.scan_iter(f"{keys.PREFIX}:notify-*")]
    assert len(stored) == 2
    assert URL_SECRET not in repr(stored)


def test_each_heading_is_one_of_the_runbook() -> None:
    headings = re.findall(r"^### `(\w+)`$", RUNBOOK.read_text(), re.MULTILINE)
    assert {kind.heading for kind in TroubleKind} <= set(headings)


def test_each_alarm_is_a_trouble() -> None:
    assert [TroubleKind.of(alarm) for alarm in Alarm] == list(TroubleKind)[: len(Alarm)]


def test_the_page_lists_what_is_told() -> None:
    listed = [
        (words(what)[0], after, words(heading)[0])
        for what, after, heading in table(NOTIFICATIONS, "| Trouble | Told after | Runbook |")
    ]
    assert listed == [
        (
            str(kind),
            describe_span(kind.patience.total_seconds()) if kind.patience else "at once",
            kind.heading,
        )
        for kind in TroubleKind
    ]
    text = NOTIFICATIONS.read_text()
    assert f"more than {WAITS_LONG.total_seconds() / 3600:g} hours" in text
    assert f"less than {DEADLINE_NEAR_H} hours left" in text
    assert f"has {delivery.TIME_LIMIT_S:g} s" in text
    assert f"names {messages._MOST} and" in text  # noqa: SLF001 - it has no other name
