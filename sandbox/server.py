"""Sockets: a thread for each connection, kept alive, and routing to the two sides."""

import logging
import socket
import socketserver
import time
from http import HTTPStatus

from sandbox import api, control
from sandbox.answers import ApiAnswer, json_answer
from sandbox.delivery import deliver
from sandbox.reply import Reply
from sandbox.sender import PushSender
from sandbox.wire import ApiRequest, Inbound, MalformedRequestError
from sandbox.world import World

# As long as common gateways keep an idle connection.
_IDLE_S = 75
_BACKLOG = 1024

log = logging.getLogger("sandbox")


class SandboxServer(socketserver.ThreadingTCPServer):
    """Listens from the moment it is made."""

    request_queue_size = _BACKLOG
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host: str, port: int, world: World, sender: PushSender) -> None:
        self.world = world
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
        inbound = Inbound(self.request)
        try:
            while (request := inbound.next()) is not None:
                if not self._answer(request):
                    return
        except MalformedRequestError as error:
            refusal = json_answer(HTTPStatus.BAD_REQUEST, {"error": str(error)})
            self._send(refusal, keep_alive=False)
        except OSError:
            return

    def _answer(self, request: ApiRequest) -> bool:
        if request.path.startswith(control.PREFIX):
            answer = control.answer(self.server.world, self.server.sender, request)
            return self._send(answer, keep_alive=request.keep_alive)
        return self._answer_as_klarna(request)

    def _answer_as_klarna(self, request: ApiRequest) -> bool:
        world = self.server.world
        if world.settings.latency_ms:
            time.sleep(world.settings.latency_ms / 1000)
        era = world.era
        reply, entry = api.decide(world, request)
        correlation_id = entry.arrival.correlation_id
        keep_alive = request.keep_alive
        if reply.prompt:
            delivered = deliver(self.request, reply, correlation_id, keep_alive=keep_alive)
        else:
            with world.keeping_busy(self.request, era):
                delivered = deliver(self.request, reply, correlation_id, keep_alive=keep_alive)
        if not delivered.answered:
            entry.status = None
        return delivered.reusable

    def _send(self, answer: ApiAnswer, *, keep_alive: bool) -> bool:
        plain = Reply(ApiAnswer(answer.status, answer.body, correlated=False))
        return deliver(self.request, plain, "", keep_alive=keep_alive).reusable
