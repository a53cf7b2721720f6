"""The daily digest: what it tells of a day, and that each recipient gets it once."""

from datetime import UTC, datetime, time, timedelta

import pytest
from redis import Redis

from notify import digest
from notify.messages import Message
from notify.notifier import Notifier
from notify.recipients import Recipient
from notify.settings import NotifySettings
from pushes.model import State
from pushes.settings import ConfigurationError, load
from pushes.store import keys
from pushes.store.ledger import Ledger
from tests.builders import NOW, a_key, put
from tests.integration.test_cli_support import answer, run
from tests.receivers import receiving
from worker.periodic.samples import Samples

HOUR = timedelta(hours=1)
SEVEN = time(7, 0)
DUE = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)


@pytest.fixture
def ledger(redis_client: Redis) -> Ledger:
    return Ledger(redis_client)


class DigestReader:
    """A recipient of nothing but the digest, for whom a worker looks from time to time."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.error = ledger, ""
        self.recipient = Recipient(1, "JSON", "json://1")
        self.got: list[str] = []

    def deliver(self, _recipient: Recipient, message: Message) -> str:
        if not self.error and message.title == "klarna-ack: the last 24 hours":
            self.got.append(message.body)
        return self.error

    def look(self, at: datetime) -> int:
        """Let a worker look, and return how many digests have come so far."""
        self.ledger.redis.delete(keys.notify_lease(self.recipient.key))
        Notifier(self.ledger, self.recipient, self.deliver, SEVEN).scan(at)
        return len(self.got)


def test_it_tells_what_came_what_became_of_it_and_what_waits(ledger: Ledger) -> None:
    Samples(ledger.redis, lambda: NOW).scan()
    put(ledger, State.ACKNOWLEDGED)
    put(ledger, State.DEAD)
    key = a_key()
    ledger.accept(key, NOW)

    lines = digest.compose(ledger, NOW + HOUR).body.splitlines()

    assert lines[0] == "Received: 3 pushes"
    assert lines[1].startswith("Acknowledged: 1 orders, half within ")
    assert lines[2:] == [
        "Dead: 1 orders; 1 wait for you: 1 no_such_order",
        "At risk: nothing",
        "Slowest of those that wait:",
        f"- {key.order_id} of default: queued, pushed 1 h 0 min ago",
    ]


def test_it_tells_of_a_day_on_which_nothing_came(ledger: Ledger) -> None:
    assert digest.compose(ledger, NOW).body.splitlines() == [
        "Received: 0 pushes",
        "Acknowledged: 0 orders",
        "Dead: 0 orders; 0 wait for you",
        "At risk: nothing",
        "Slowest: nothing waits",
    ]


def test_it_is_sent_once_a_day_at_its_time(ledger: Ledger) -> None:
    reader = DigestReader(ledger)
    looks = [DUE - HOUR, DUE, DUE + HOUR, DUE + 23 * HOUR, DUE + 24 * HOUR]
    # The digest of the day before is late by more than six hours at the first look.
    assert [reader.look(at) for at in looks] == [0, 1, 1, 1, 2]


def test_one_that_was_not_taken_is_sent_again_but_not_hours_later(ledger: Ledger) -> None:
    reader = DigestReader(ledger)
    reader.error = "HTTP 500"
    assert reader.look(DUE) == 0
    reader.error = ""
    assert reader.look(DUE + HOUR) == 1

    reader.error = "HTTP 500"
    assert reader.look(DUE + 24 * HOUR) == 1
    reader.error = ""
    assert reader.look(DUE + 31 * HOUR) == 1


def test_the_terminal_sends_it_and_shows_it(redis_url: str) -> None:
    with receiving() as receiver:
        sent = run(redis_url, "notify", "digest", NOTIFY_URLS=receiver.url)
        ((kind, title, body),) = receiver.taken()
    shown = answer(run(redis_url, "notify", "digest", "--dry-run", "--json"))

    assert sent.exit_code == 0
    assert kind == "info"
    assert (title, body) == (shown["title"], shown["text"])
    assert title == "klarna-ack: the last 24 hours"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"NOTIFY_DIGEST_AT": "07:00"}, "it goes with NOTIFY_URLS"),
        ({"NOTIFY_URLS": "json://h", "NOTIFY_DIGEST_AT": "07:00+01:00"}, "without a zone"),
        ({"NOTIFY_URLS": "json://h", "NOTIFY_DIGEST_AT": "at seven"}, "a time of day in UTC"),
    ],
)
def test_a_time_that_is_none_is_refused(settings: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        load(NotifySettings, settings | {"REDIS_URL": "redis://127.0.0.1"})
