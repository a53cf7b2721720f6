"""Messages of real workers to a real receiver: one for each thing, from whichever of them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis

from devtools.local.processes import LoggedProcess, Processes, poll
from notify.recipients import parse
from pushes.model import State
from pushes.operate.replay import discard
from pushes.store import keys, records
from pushes.store.ledger import Ledger
from tests.builders import put
from tests.receivers import URL_SECRET, MessageReceiver, receiving

# Whoever tells looks every 10 s whether it is its turn; after so long it has looked twice.
_TURN_S = 30


@pytest.fixture
def receiver() -> Iterator[MessageReceiver]:
    with receiving() as receiver:
        yield receiver


def let_a_minute_pass(redis: Redis) -> None:
    """Age what is remembered, and take away each lease: whoever looks next tells what is due."""
    for place in redis.scan_iter(f"{keys.PREFIX}:notify-told:*"):
        for name, text in redis.hgetall(place).items():
            told = json.loads(text)
            noticed_at = datetime.fromisoformat(told["noticed_at"]) - timedelta(minutes=1)
            redis.hset(place, name, json.dumps({**told, "noticed_at": noticed_at.isoformat()}))
    for lease in redis.scan_iter(f"{keys.PREFIX}:notify-lease:*"):
        redis.delete(lease)


def next_message(redis: Redis, receiver: MessageReceiver) -> tuple[str, str]:
    """Type and title of the one message that comes, once it is noted that it came."""
    let_a_minute_pass(redis)
    place = keys.notify_told(parse(receiver.url)[0].key)
    before = redis.hgetall(place)
    poll(lambda: receiver.got, _TURN_S)
    poll(lambda: redis.hgetall(place) != before)
    ((kind, title, _),) = receiver.taken()
    return kind, title


def test_two_workers_tell_of_a_dead_letter_once_and_of_its_end_and_show_no_url(
    processes: Processes, redis_client: Redis, receiver: MessageReceiver
) -> None:
    nobody = f"json://127.0.0.1:1/{URL_SECRET}"
    env = {"NOTIFY_URLS": f"{nobody} {receiver.url}", "NOT_FOUND_DELAYS_S": "0.1"}
    workers = [processes.worker(**env, LOG_LEVEL="debug").wait_ready() for _ in range(2)]
    poll(lambda: len(list(redis_client.scan_iter(f"{keys.PREFIX}:notify-lease:*"))) == 2)
    ledger = Ledger(redis_client)

    key = put(ledger, State.QUEUED, now=datetime.now(UTC)).key
    poll(lambda: (push := records.get(redis_client, key)) and push.state is State.DEAD)
    what = "klarna-ack: 1 dead letter of the account default: no_such_order, NO_SUCH_ORDER."
    assert next_message(redis_client, receiver) == ("warning", what)

    discard(ledger, key, by="anna", why="forged", now=datetime.now(UTC))
    assert next_message(redis_client, receiver)[0] == "success"
    let_a_minute_pass(redis_client)
    poll(lambda: not redis_client.hkeys(keys.notify_told(parse(nobody)[0].key)), _TURN_S)

    assert [worker.terminate() for worker in workers] == [0, 0]
    assert receiver.taken() == []
    assert processes.logs().count('"notify.told"') == 2
    assert "1 (JSON)" in processes.logs()
    stored = [redis_client.dump(name) for name in redis_client.scan_iter("*")]
    assert URL_SECRET not in processes.logs() + repr(stored)


def test_whoever_watches_tells_that_no_worker_is_alive_and_that_one_is_again(
    processes: Processes, redis_client: Redis, receiver: MessageReceiver, tmp_path: Path
) -> None:
    env = {**processes.env, "NOTIFY_URLS": receiver.url}
    worker = processes.worker().wait_ready()
    watching = LoggedProcess(
        "watch", ["klarna-ack", "notify", "watch"], env, tmp_path / "watch.log"
    )
    with watching:
        watching.wait_for_line("notify.watching")
        assert worker.terminate() == 0
        told = keys.notify_told(parse(receiver.url)[0].key)
        let_a_minute_pass(redis_client)
        poll(lambda: redis_client.hexists(told, "no_worker_takes_orders"), _TURN_S)
        title = "klarna-ack: No worker is alive, so no order is acknowledged."
        assert next_message(redis_client, receiver) == ("failure", title)

        processes.worker(NOTIFY_URLS=receiver.url).wait_ready()
        kind, title = next_message(redis_client, receiver)
        assert (kind, title.partition("No")[0]) == ("success", "klarna-ack: over: ")
        assert watching.terminate() == 0
    assert URL_SECRET not in watching.log + processes.logs()
