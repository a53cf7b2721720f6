"""A shop that takes orders handed over to it, signed as Standard Webhooks says. Sends nothing.

An order counts as taken when its message is verified and no fault struck before. A message that
was taken already is a repeat: a real shop drops it by its id.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from standardwebhooks import Webhook, WebhookVerificationError

from sandbox.api.orders import ORDER_ID, JsonObject
from sandbox.clock import iso
from sandbox.faults.injected import RECEIVER
from sandbox.faults.kinds import StruckCall
from sandbox.serving.answers import ApiAnswer, json_answer
from sandbox.serving.reading import ApiRequest
from sandbox.serving.sending import Reply
from sandbox.settings import SandboxSettings
from sandbox.state import SandboxState

_PLACEHOLDER = "{order_id}"

# What Klarna has decided about an order: nothing is answered about its references.
_DECISIONS = "fraud."


@dataclass(slots=True)
class ReceivedMessage:
    """One message. `problem` None: it is verified. `status` None: it was not answered."""

    seq: int
    at_s: float
    path: str
    message_id: str | None
    type: str | None
    order_id: str | None
    traceparent: str | None
    body: str
    problem: str | None
    taken: bool
    repeat: bool
    status: int | None
    fault: str | None
    correlation_id: None = None  # a shop gives none

    def view(self) -> JsonObject:
        """Show it as the control side does; the body is parsed when it is JSON."""
        return {
            "seq": self.seq,
            "at": iso(self.at_s),
            "path": self.path,
            "message_id": self.message_id,
            "type": self.type,
            "order_id": self.order_id,
            "traceparent": self.traceparent,
            "body": _parsed(self.body),
            "verified": self.problem is None,
            "problem": self.problem,
            "taken": self.taken,
            "repeat": self.repeat,
            "status": self.status,
            "fault": self.fault,
        }


def receive(state: SandboxState, request: ApiRequest) -> tuple[Reply, ReceivedMessage]:
    """Verify a message, take the order in, log it; the reply is still to be sent."""
    settings = state.settings
    body = request.body.decode(errors="replace")
    kind = _type_of(_parsed(body))
    message_id = request.headers.get("webhook-id")
    order_id = _order_id(_parsed(body))
    problem = _problem(settings.receiver_secret, request)
    with state.lock:
        fault = state.faults.strike(RECEIVER, order_id, state.chance)
        taken = problem is None and (fault is None or fault.runs)
        repeat = message_id in state.taken_messages
        if taken and message_id:
            state.taken_messages.add(message_id)
        answer = _answer(settings, order_id, kind, problem)
        reply = fault.reply(StruckCall(RECEIVER, order_id, ""), answer) if fault else Reply(answer)
        entry = ReceivedMessage(
            seq=state.receiver_log.next_seq,
            at_s=state.clock.now_s(),
            path=request.path,
            message_id=message_id,
            type=kind,
            order_id=order_id,
            traceparent=request.headers.get("traceparent"),
            body=body,
            problem=problem,
            taken=taken,
            repeat=repeat,
            status=reply.answer.status if reply.answer else None,
            fault=fault.name if fault else None,
        )
        state.receiver_log.add(entry)
    return reply, entry


def _problem(secret: str, request: ApiRequest) -> str | None:
    if request.method != "POST":
        return "it is no POST"
    try:
        Webhook(secret).verify(request.body, dict(request.headers), json_parse=False)
    except (WebhookVerificationError, ValueError) as error:  # ValueError: a signature of no shape
        return str(error) or type(error).__name__
    return None


def _answer(
    settings: SandboxSettings, order_id: str | None, kind: str | None, problem: str | None
) -> ApiAnswer:
    if problem is not None:
        return json_answer(401, {"error": problem})
    if kind and kind.startswith(_DECISIONS):
        return json_answer(200, {})
    answered = {
        "merchant_reference1": settings.receiver_reference1,
        "merchant_reference2": settings.receiver_reference2,
    }
    return json_answer(
        200,
        {
            name: text.replace(_PLACEHOLDER, order_id or "")
            for name, text in answered.items()
            if text is not None
        },
    )


def _parsed(body: str) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body


def _type_of(content: object) -> str | None:
    kind = content.get("type") if isinstance(content, Mapping) else None
    return kind if isinstance(kind, str) else None


def _order_id(content: object) -> str | None:
    """Find the order's id: in the message itself, or in the `data` of its envelope."""
    for part in (content, content.get("data") if isinstance(content, Mapping) else None):
        found = part.get("order_id") if isinstance(part, Mapping) else None
        if isinstance(found, str) and ORDER_ID.fullmatch(found):
            return found.lower()
    return None
