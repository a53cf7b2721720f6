"""The receiver that docs/hand-over.md shows, run as it stands there, takes what a worker sends."""

import re
import runpy
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from werkzeug.serving import make_server

from klarna.orders import parse_order
from pushes.accounts.policies import HandOver
from pushes.model import Entry
from tests.builders import a_push
from worker.attempt.hand_over.shop import MerchantSystem

SECRET = "whsec_" + "AAAA" * 8
PAGE = Path("docs/hand-over.md")


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    monkeypatch.setenv("HAND_OVER_SECRET", SECRET)
    receiver = tmp_path / "receiver.py"
    receiver.write_text(code)
    app = runpy.run_path(str(receiver), run_name="receiver")["app"]
    server = make_server("127.0.0.1", 0, app, threaded=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}/klarna/orders"
    server.shutdown()
    serving.join()
    server.server_close()


def test_it_gives_an_order_its_number_and_a_repeat_the_same(url: str) -> None:
    table = {"url": url, "secret": SECRET, "allow_private": True}
    shop = MerchantSystem(HandOver.model_validate(table), pool_size=1, user_agent="test")
    entries: list[Entry] = []

    one, other = a_push(), a_push()
    given = [
        shop.hand_over(
            push, parse_order({"order_id": push.key.order_id, "status": "OPEN"}), entries
        )
        for push in (one, other, one)
    ]
    shop.close()

    assert [answer.merchant_reference1 for answer in given] == ["S-1", "S-2", "S-1"]
    assert [entry.http_status for entry in entries] == [200, 200, 200]


def test_it_takes_nothing_unsigned(url: str) -> None:
    forged = {"webhook-id": "msg_1", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
    for headers in ({}, forged):
        assert requests.post(url, json={"data": {}}, headers=headers, timeout=5).status_code == 401
