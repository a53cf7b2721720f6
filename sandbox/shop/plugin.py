"""A double of a shop's plugin: on a push it does its own GET and acknowledge, as all do (code).

It takes any method and finds the order id wherever it stands in path or query, so that it can
stand for any of them. A fraud notification, which names the order in its body, is answered by a
GET alone. It asks the sandbox's own API, over HTTP, with the order's credentials.
"""

import http.client
import json
import re
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from sandbox.api.operations import PREFIX
from sandbox.api.orders import ORDER_ID, JsonObject
from sandbox.clock import iso
from sandbox.faults.injected import PLUGIN
from sandbox.faults.kinds import StruckCall
from sandbox.serving.answers import ApiAnswer, json_answer
from sandbox.serving.reading import ApiRequest
from sandbox.serving.sending import Reply
from sandbox.state import SandboxState

USER_AGENT = "sandbox-plugin"
_TIMEOUT_S = 10
_OK = (200, 204)


@dataclass(slots=True)
class PluginCall:
    """One call of the plugin. `read` and `acknowledged` are what Klarna's side answered to it."""

    seq: int
    at_s: float
    method: str
    path: str
    query: str
    order_id: str | None
    event_type: str | None
    traceparent: str | None
    body: str
    read: int | None
    acknowledged: int | None
    status: int | None
    fault: str | None
    correlation_id: None = None  # a shop gives none

    def view(self) -> JsonObject:
        """Show it as the control side does."""
        return {
            "seq": self.seq,
            "at": iso(self.at_s),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "order_id": self.order_id,
            "event_type": self.event_type,
            "traceparent": self.traceparent,
            "body": self.body,
            "read": self.read,
            "acknowledged": self.acknowledged,
            "status": self.status,
            "fault": self.fault,
        }


def take_push(state: SandboxState, request: ApiRequest) -> tuple[Reply, PluginCall]:
    """Read and acknowledge the order, log the call; the reply is still to be sent.

    A fault that lets nothing take effect strikes before the plugin has asked for anything.
    """
    event_type, order_id = _notification(request.body)
    if event_type is None:
        found = re.search(ORDER_ID, unquote(f"{request.path}?{request.query}"))
        order_id = found[0].lower() if found else None
    with state.lock:
        at_s = state.clock.now_s()
        fault = state.faults.strike(PLUGIN, order_id, state.chance)
        token = _token(state, order_id)
    read = acknowledged = None
    if order_id and (fault is None or fault.runs):
        read = _ask(state.url, "GET", order_id, token)
        if read in _OK and event_type is None:
            acknowledged = _ask(state.url, "POST", f"{order_id}/acknowledge", token)
    answer = _answer(order_id, read, read if event_type else acknowledged)
    reply = fault.reply(StruckCall(PLUGIN, order_id, ""), answer) if fault else Reply(answer)
    with state.lock:
        entry = PluginCall(
            seq=state.plugin_log.next_seq,
            at_s=at_s,
            method=request.method,
            path=request.path,
            query=request.query,
            order_id=order_id,
            event_type=event_type,
            traceparent=request.headers.get("traceparent"),
            body=request.body.decode(errors="replace"),
            read=read,
            acknowledged=acknowledged,
            status=reply.answer.status if reply.answer else None,
            fault=fault.name if fault else None,
        )
        state.plugin_log.add(entry)
    return reply, entry


def _notification(body: bytes) -> tuple[str | None, str | None]:
    """Read the kind of a fraud notification, and the order it is about; None when it is none."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None, None
    named = content if isinstance(content, dict) else {}
    event_type, order_id = named.get("event_type"), named.get("order_id")
    if not isinstance(event_type, str) or not isinstance(order_id, str):
        return None, None
    return event_type, order_id.lower() if ORDER_ID.fullmatch(order_id) else None


def _token(state: SandboxState, order_id: str | None) -> str:
    settings, order = state.settings, state.orders.get(order_id or "")
    name = (order.merchant if order else None) or settings.username
    password = settings.merchants.get(name, settings.password)
    return b64encode(f"{name}:{password}".encode()).decode()


def _ask(url: str, method: str, path: str, token: str) -> int | None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    try:
        headers = {"Authorization": f"Basic {token}", "User-Agent": USER_AGENT}
        connection.request(method, PREFIX + path, headers=headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _answer(order_id: str | None, read: int | None, last: int | None) -> ApiAnswer:
    """Answer for the plugin: well when the last call it had to make went well."""
    if order_id is None:
        return json_answer(400, {"error": "there is no order id in path or query"})
    if last in _OK:
        return ApiAnswer(200, b"", content_type=None)
    problem = f"GET answered {read}, the last call {last}"
    return json_answer(500, {"error": problem})
