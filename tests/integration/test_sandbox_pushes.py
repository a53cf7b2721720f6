"""The push sender on a moved clock, with a real receiver."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest

from tests.sandboxes import RunningSandbox, running, wait_for


class RecordingShop(ThreadingHTTPServer):
    """Takes pushes: keeps what came, answers `status` once `answering` is set."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Push)
        self.status = 200
        self.answering = Event()
        self.answering.set()
        self.got: list[tuple[str, str, str | None, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Push(BaseHTTPRequestHandler):
    server: RecordingShop

    def do_POST(self) -> None:
        headers = self.headers
        self.server.got.append(
            (self.command, self.path, headers["Content-Length"], headers["Authorization"])
        )
        assert self.server.answering.wait(10)
        self.send_response(self.server.status)
        self.send_header("Location", f"{self.server.url}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def process() -> Iterator[RunningSandbox]:
    yield from running()


@pytest.fixture
def shop() -> Iterator[RecordingShop]:
    with RecordingShop() as shop:
        thread = Thread(target=shop.serve_forever, args=(0.01,))
        thread.start()
        yield shop
        shop.answering.set()
        shop.shutdown()
        thread.join()


@pytest.fixture
def klarna(process: RunningSandbox, shop: RecordingShop) -> RunningSandbox:
    """A sandbox whose clock stands still, and which pushes to the shop."""
    process.control("POST", "reset")
    process.control("PUT", "clock", {"speed": 0})
    process.control("PUT", "pusher", {"url": shop.url + "/push?id={checkout.order.id}"})
    return process


def advance(klarna: RunningSandbox, minutes: float) -> None:
    klarna.control("PUT", "clock", {"advance_s": minutes * 60})


def wait_for_pushes(klarna: RunningSandbox, order_id: str, count: int) -> list[dict[str, Any]]:
    """Wait until so many pushes were answered; more are a failure."""

    def pushes() -> list[dict[str, Any]] | None:
        order = klarna.control("GET", f"orders/{order_id}")
        sent: list[dict[str, Any]] = order["pushes"]
        return sent if len(sent) >= count else None

    sent = wait_for(pushes)
    assert len(sent) == count
    return sent


def test_it_pushes_at_once_with_nothing_but_the_id(
    klarna: RunningSandbox, shop: RecordingShop
) -> None:
    order_id = klarna.new_order(push=True)

    sent = wait_for_pushes(klarna, order_id, 1)

    assert shop.got == [("POST", f"/push?id={order_id}", "0", None)]
    assert sent[0]["status"] == 200
    (logged,) = klarna.control("GET", "pushes")
    assert logged["url"] == f"{shop.url}/push?id={order_id}"
    assert {name: logged[name] for name in ("at", "status", "ms")} == sent[0]


def test_it_waits_with_the_first_push_as_told(klarna: RunningSandbox, shop: RecordingShop) -> None:
    order_id = klarna.new_order(push=True, first_push_after_s=120)
    created = klarna.control("GET", f"orders/{order_id}")
    advance(klarna, 1.9)
    before = list(shop.got)
    advance(klarna, 0.1)

    wait_for_pushes(klarna, order_id, 1)

    assert before == []
    assert created["next_push_at"] > created["created_at"]


def test_it_pushes_again_on_klarnas_schedule_whatever_the_answer(
    klarna: RunningSandbox, shop: RecordingShop
) -> None:
    order_id = klarna.new_order(push=True)
    minutes = [5, 15, 30, 60, *range(300, 48 * 60, 240)]
    now = 0
    for count, due in enumerate(minutes, start=1):
        wait_for_pushes(klarna, order_id, count)
        shop.status = 200 if count % 2 else 500
        advance(klarna, due - now)
        now = due
    wait_for_pushes(klarna, order_id, 16)

    order = klarna.control("GET", f"orders/{order_id}")

    assert order["next_push_at"] is None
    assert {push["status"] for push in order["pushes"]} == {200, 500}
    assert len({push["at"] for push in order["pushes"]}) == 16


def test_it_catches_up_after_a_jump_and_stops_after_48_hours(
    klarna: RunningSandbox, shop: RecordingShop
) -> None:
    order_id = klarna.new_order(push=True)
    wait_for_pushes(klarna, order_id, 1)

    advance(klarna, 48 * 60)
    wait_for_pushes(klarna, order_id, 16)
    advance(klarna, 48 * 60)

    assert klarna.control("GET", f"orders/{order_id}")["next_push_at"] is None
    wait_for_pushes(klarna, order_id, 16)
    assert len(shop.got) == 16


@pytest.mark.parametrize("how", ["acknowledge", "capture"])
def test_it_stops_pushing_only_for_an_acknowledge_or_a_capture(
    klarna: RunningSandbox, shop: RecordingShop, how: str
) -> None:
    order_id = klarna.new_order(push=True)
    wait_for_pushes(klarna, order_id, 1)
    klarna.get(order_id)
    klarna.control("PATCH", f"orders/{order_id}", {"fraud_status": "PENDING"})
    advance(klarna, 5)
    wait_for_pushes(klarna, order_id, 2)

    if how == "acknowledge":
        klarna.acknowledge(order_id)
    else:
        klarna.control("PATCH", f"orders/{order_id}", {"status": "PART_CAPTURED"})
    advance(klarna, 48 * 60)

    another = klarna.new_order(push=True)
    wait_for_pushes(klarna, another, 1)
    assert klarna.control("GET", f"orders/{order_id}")["next_push_at"] is None
    assert len(shop.got) == 3


def test_it_goes_on_when_a_capture_is_taken_back(klarna: RunningSandbox) -> None:
    order_id = klarna.new_order(push=True)
    wait_for_pushes(klarna, order_id, 1)
    klarna.control("PATCH", f"orders/{order_id}", {"status": "CAPTURED"})
    advance(klarna, 5)

    klarna.control("PATCH", f"orders/{order_id}", {"status": "AUTHORIZED"})

    wait_for_pushes(klarna, order_id, 2)


def test_it_pushes_sooner_when_the_clock_runs_fast(klarna: RunningSandbox) -> None:
    order_id = klarna.new_order(push=True)
    wait_for_pushes(klarna, order_id, 1)

    klarna.control("PUT", "clock", {"speed": 3000})
    wait_for(lambda: len(klarna.control("GET", f"orders/{order_id}")["pushes"]) >= 3)


def test_it_keeps_to_the_schedule_it_was_given(klarna: RunningSandbox) -> None:
    standard = klarna.control("GET", "settings")["push_schedule_s"]
    klarna.control("PUT", "settings", {"push_schedule_s": [10]})
    order_id = klarna.new_order(push=True)
    klarna.control("PUT", "settings", {"push_schedule_s": standard})

    advance(klarna, 60)

    wait_for_pushes(klarna, order_id, 2)
    assert klarna.control("GET", f"orders/{order_id}")["next_push_at"] is None


def test_it_pushes_one_order_when_told(klarna: RunningSandbox, shop: RecordingShop) -> None:
    order_id = klarna.new_order()
    klarna.acknowledge(order_id)
    shop.status = 503

    sent = klarna.control("POST", "pushes", {"order_id": order_id.upper()}, status=201)

    assert (sent["order_id"], sent["status"]) == (order_id, 503)
    assert klarna.control("GET", "pushes") == [sent]
    assert klarna.control("GET", f"pushes?since={sent['seq']}") == []
    assert len(shop.got) == 1
    klarna.control("POST", "pushes", {"order_id": sent["order_id"][:-4] + "0000"}, status=404)


def test_it_pushes_an_order_where_that_order_says(
    klarna: RunningSandbox, shop: RecordingShop
) -> None:
    order_id = klarna.new_order(push=True, push_url=f"{shop.url}/two/{{order.id}}")

    sent = wait_for_pushes(klarna, order_id, 1)
    again = klarna.control("POST", "pushes", {"order_id": order_id}, status=201)

    assert [got[1] for got in shop.got] == [f"/two/{order_id}"] * 2
    assert (sent[0]["status"], again["url"]) == (200, f"{shop.url}/two/{order_id}")


def test_it_follows_no_redirect(klarna: RunningSandbox, shop: RecordingShop) -> None:
    shop.status = 302

    sent = klarna.control("POST", "pushes", {"order_id": klarna.new_order()}, status=201)

    assert (sent["status"], len(shop.got)) == (302, 1)


def test_it_notes_that_no_answer_came(klarna: RunningSandbox) -> None:
    klarna.control("PUT", "pusher", {"url": "http://127.0.0.1:9/{order.id}"})
    order_id = klarna.new_order()

    sent = klarna.control("POST", "pushes", {"order_id": order_id}, status=201)

    assert (sent["status"], sent["url"]) == (None, f"http://127.0.0.1:9/{order_id}")


def test_it_gives_up_on_a_shop_that_takes_5_seconds(
    klarna: RunningSandbox, shop: RecordingShop
) -> None:
    shop.answering.clear()

    sent = klarna.control("POST", "pushes", {"order_id": klarna.new_order()}, status=201)

    assert sent["status"] is None
    assert 4900 < sent["ms"] < 9000


def test_it_pushes_many_orders_at_the_same_time(
    klarna: RunningSandbox, shop: RecordingShop
) -> None:
    shop.answering.clear()

    order_ids = klarna.control("POST", "orders", {"count": 40, "push": True}, status=201)[
        "order_ids"
    ]
    wait_for(lambda: len(shop.got) == 40)
    shop.answering.set()
    pushes = wait_for(
        lambda: [*klarna.control("GET", "pushes")[39:]] and klarna.control("GET", "pushes")
    )

    assert sorted(push["order_id"] for push in pushes) == sorted(order_ids)
    assert {push["status"] for push in pushes} == {200}


def test_it_forgets_pushes_under_way_at_a_reset(
    klarna: RunningSandbox, shop: RecordingShop
) -> None:
    shop.answering.clear()
    klarna.new_order(push=True)
    wait_for(lambda: shop.got)

    klarna.control("POST", "reset")
    shop.answering.set()
    order_id = klarna.new_order(push=True)
    wait_for_pushes(klarna, order_id, 1)

    assert [push["order_id"] for push in klarna.control("GET", "pushes")] == [order_id]


def test_it_does_not_push_before_it_knows_where_to() -> None:
    for klarna in running():
        error = klarna.control("POST", "orders", {"push": True}, status=400)
        order_id = klarna.new_order()
        pushed = klarna.control("POST", "pushes", {"order_id": order_id}, status=400)
        klarna.new_order(push=True, push_url="http://127.0.0.1:9/")

        assert "PUT /_control/pusher" in error["allowed"]
        assert (error["field"], pushed["field"]) == ("push", "order_id")
