"""Sockets: a thread for each connection, kept alive, and routing to the sides of the sandbox."""

import logging
import socket
import socketserver
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus

from sandbox.api.dispatch import decide
from sandbox.control import routes
from sandbox.pushing.sender import PushSender
from sandbox.serving.answers import json_answer
from sandbox.serving.reading import ApiRequest, MalformedRequestError, RequestReader
from sandbox.serving.sending import Reply, send
from sandbox.shop.plugin import take_push
from sandbox.shop.receiver import receive
from sandbox.state import AnsweredEntry, SandboxState

# As long as common gateways keep an idle connection.
_IDLE_S = 75
_BACKLOG = 1024

#: Decides a call and logs it; the reply is still to be sent.
Taker = Callable[[SandboxState, ApiRequest], tuple[Reply, AnsweredEntry]]
# The shop's side by how a path starts. What is neither that nor the control side is Klarna's.
_SHOP_SIDE: Mapping[str, Taker] = {"/receiver": receive, "/plugin": take_push}
# A host to listen on that is no host to ask.
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - it is compared with, not listened on

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
        asked = "127.0.0.1" if host in _EVERYWHERE else host
        state.url = f"http://{asked}:{self.port}"

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
            send(self.request, Reply(refusal), None, keep_alive=False)
        except OSError:
            return

    def _answer(self, request: ApiRequest) -> bool:
        state = self.server.state
        if request.path.startswith(routes.PREFIX):
            answer = routes.answer(state, self.server.sender, request)
            return send(self.request, Reply(answer), None, keep_alive=request.keep_alive).reusable
        for prefix, take in _SHOP_SIDE.items():
            if request.path.startswith(prefix):
                return self._answer_logged(request, take)
        if state.settings.latency_ms:
            time.sleep(state.settings.latency_ms / 1000)
        return self._answer_logged(request, decide)

    def _answer_logged(self, request: ApiRequest, take: Taker) -> bool:
        """Send what is decided; when that fails, the log entry says that nothing was answered."""
        state = self.server.state
        reset_count = state.reset_count
        reply, entry = take(state, request)
        told, keep_alive = entry.correlation_id, request.keep_alive
        if reply.prompt:
            sent = send(self.request, reply, told, keep_alive=keep_alive)
        else:
            with state.keeping_busy(self.request, reset_count):
                sent = send(self.request, reply, told, keep_alive=keep_alive)
        if not sent.answered:
            entry.status = None
        return sent.reusable
