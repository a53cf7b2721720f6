"""A server to which messages are sent: it keeps what came, and answers what it is told."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

# What stands in the URL and nowhere else.
URL_SECRET = "canary-2b9d4e-never-to-be-seen"


class MessageReceiver(ThreadingHTTPServer):
    """Takes apprise's `json://`; answers `status` once `answering` is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _MessageRequest)
        self.status = 200
        self.answering = Event()
        self.answering.set()
        self.got: list[dict[str, Any]] = []
        self.url = f"json://user:{URL_SECRET}@127.0.0.1:{self.server_port}/{URL_SECRET}"

    def taken(self) -> list[tuple[str, str, str]]:
        """Type, title and text of each message since the last call."""
        found = [(one["type"], one["title"], one["message"]) for one in self.got]
        self.got.clear()
        return found


class _MessageRequest(BaseHTTPRequestHandler):
    server: MessageReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.server.answering.wait(30)
        if self.server.status == 200:
            self.server.got.append(json.loads(body))
        self.send_response(self.server.status, f"with {URL_SECRET}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiving() -> Iterator[MessageReceiver]:
    """Serve one."""
    with MessageReceiver() as receiver:
        thread = Thread(target=receiver.serve_forever, args=(0.01,))
        thread.start()
        yield receiver
        receiver.answering.set()
        receiver.shutdown()
        thread.join()
