"""The account in the path leads to its shard; whatever names none leads to the first."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import requests

from devtools.local.loopback import free_port
from devtools.local.processes import ROOT, LoggedProcess
from tests.builders import an_order_id

SHARDS = ROOT / "deploy" / "nginx" / "klarna-ack-shards.conf"
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class ShardDouble(BaseHTTPRequestHandler):
    """Answers with the name of its shard."""

    def __init__(self, name: str, *of_the_request: object) -> None:
        self._name = name
        super().__init__(*of_the_request)  # type: ignore[arg-type]  # as its base takes them

    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self._name.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url(debian_tool: Callable[[str, str], str], tmp_path: Path) -> Iterator[str]:
    """Nginx before two shards, with `sweden` in the second."""
    port = free_port()
    text = SHARDS.read_text()
    with ExitStack() as opened:
        for name, address in (("first", "192.0.2.11"), ("second", "192.0.2.12")):
            shard = ThreadingHTTPServer(("127.0.0.1", 0), partial(ShardDouble, name))
            opened.callback(shard.server_close)
            opened.callback(shard.shutdown)
            Thread(target=shard.serve_forever, daemon=True).start()
            assert f"{address}:8000" in text
            text = text.replace(f"{address}:8000", f"127.0.0.1:{shard.server_port}")
        (tmp_path / "error.log").touch()
        accounts = tmp_path / "accounts.map"
        accounts.write_text("sweden klarna_ack_2;\nold-shop-2 klarna_ack_2;\n")
        (tmp_path / "shards.conf").write_text(
            text.replace("/etc/nginx/klarna-ack/accounts.map", str(accounts))
        )
        paths = "".join(f"{name}_temp_path {tmp_path}/{name};\n" for name in _TEMPORARY)
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log notice;\n"
            f"events {{}}\nhttp {{\n{paths}access_log off;\ninclude {tmp_path}/shards.conf;\n"
            f"server {{ listen 127.0.0.1:{port};\n"
            "location / { proxy_pass http://$shard; } }\n}\n"
        )
        command = [debian_tool("nginx", "nginx"), "-e", f"{tmp_path}/error.log"]
        command += ["-c", str(tmp_path / "nginx.conf")]
        nginx = opened.enter_context(
            LoggedProcess("nginx", command, {}, tmp_path / "nginx.log", cwd=tmp_path)
        )
        nginx.wait_until(lambda: "start worker process " in (tmp_path / "error.log").read_text())
        yield f"http://127.0.0.1:{port}"


def test_an_account_leads_to_its_shard_and_anything_else_to_the_first(url: str) -> None:
    order_id = an_order_id()
    leads_to = {
        f"/push?klarna_order_id={order_id}": "first",
        f"/push/{order_id}": "first",
        f"/push/denmark?klarna_order_id={order_id}": "first",
        f"/push/sweden?klarna_order_id={order_id}": "second",
        f"/push/sweden/{order_id}?token=sweden": "second",
        "/push/old-shop-2": "second",
        "/notification/sweden": "second",
        f"/push/swedenx/{order_id}": "first",
        "/sweden/push": "first",
    }
    answered = {path: requests.post(f"{url}{path}", timeout=10).text for path in leads_to}
    assert answered == leads_to
