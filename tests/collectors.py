"""An OTLP collector and a Sentry, as far as tests look: HTTP on loopback, decoded officially."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from sentry_sdk.envelope import Envelope


class TelemetryReceiver:
    """Takes whatever is posted; while it is `deaf` it takes a connection and answers nothing."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.posted: list[tuple[str, bytes]] = []
        self.released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.posted.append((self.path, body))
                if deaf:
                    receiver.released.wait(60)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"

    def spans(self) -> dict[tuple[str, str], Span]:
        """The spans that came, by the name of their service and their own."""
        found: dict[tuple[str, str], Span] = {}
        for path, body in self.posted:
            assert path == "/v1/traces"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                facts = {one.key: one.value.string_value for one in resource.resource.attributes}
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        found[facts["service.name"], span.name] = span
        return found

    def events(self) -> list[dict[str, Any]]:
        """The errors that came."""
        envelopes = [Envelope.deserialize(body) for _, body in self.posted]
        found = [envelope.get_event() for envelope in envelopes]
        return [dict(event) for event in found if event]

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiving(*, deaf: bool = False) -> Iterator[TelemetryReceiver]:
    """A receiver that listens until the end."""
    receiver = TelemetryReceiver(deaf=deaf)
    threading.Thread(target=receiver.serve, daemon=True).start()
    try:
        yield receiver
    finally:
        receiver.close()
