"""Sockets: a thread for each connection, kept alive, and routing to the two sides."""

import logging
import socket
import socketserver
import time
from http import HTTPStatus

from sandbox.api import dispatch
from sandbox.control import routes
from sandbox.pushing.sender import PushSender
from sandbox.serving.answers import ApiAnswer, json_answer
from sandbox.serving.reading import ApiRequest, MalformedRequestError, RequestReader
from sandbox.serving.sending import Reply, send
from sandbox.state import SandboxState

# As long as common gateways keep an idle connection.
_IDLE_S = 75
_BACKLOG = 1024

log = logging.getLogger("sandbox")


class SandboxServer(socketserver.ThreadingTCPServer):
    """Listens from the moment it is made."""

    request_queue_size = _BACKLOG
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host: str, port: int, state: SandboxState, sender: PushSender) -> None:
        self.state = state
        self.sender = sender
        super().__init__((host, port), ClientConnection)

    @property
    def port(self) -> int:
        """The port it listens on, also when it was told 0."""
        return int(self.socket.getsockname()[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """Say on stderr what went wrong in the sandbox itself."""
        log.exception(  # noqa: LOG004 - socketserver calls this while it handles the exception
            "sandbox.failed client=%s request=%s", client_address, request
        )


class ClientConnection(socketserver.BaseRequestHandler):
    """One connection and its requests, one after the other."""

    server: SandboxServer
    request: socket.socket

    def handle(self) -> None:
        """Answer until the client leaves, is idle too long, or a fault ends it."""
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request.settimeout(_IDLE_S)
        requests = RequestReader(self.request)
        try:
            while (request := requests.next()) is not None:
                if not self._answer(request):
                    return
        except MalformedRequestError as error:
            refusal = json_answer(HTTPStatus.BAD_REQUEST, {"error": str(error)})
            self._send(refusal, keep_alive=False)
        except OSError:
            return

    def _answer(self, request: ApiRequest) -> bool:
        if request.path.startswith(routes.PREFIX):
            answer = routes.answer(self.server.state, self.server.sender, request)
            return self._send(answer, keep_alive=request.keep_alive)
        return self._answer_as_klarna(request)

    def _answer_as_klarna(self, request: ApiRequest) -> bool:
        state = self.server.state
        if state.settings.latency_ms:
            time.sleep(state.settings.latency_ms / 1000)
        reset_count = state.reset_count
        reply, entry = dispatch.decide(state, request)
        correlation_id = entry.call.correlation_id
        keep_alive = request.keep_alive
        if reply.prompt:
            sent = send(self.request, reply, correlation_id, keep_alive=keep_alive)
        else:
            with state.keeping_busy(self.request, reset_count):
                sent = send(self.request, reply, correlation_id, keep_alive=keep_alive)
        if not sent.answered:
            entry.status = None
        return sent.reusable

    def _send(self, answer: ApiAnswer, *, keep_alive: bool) -> bool:
        plain = Reply(ApiAnswer(answer.status, answer.body, correlated=False))
        return send(self.request, plain, "", keep_alive=keep_alive).reusable
