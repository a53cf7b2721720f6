"""Klarna's side: credentials, rate limit, order id, idempotency key, order, then the call itself.

Every call ends in the request log, also one that gets no answer. Sends nothing.
"""

from sandbox.api.operations import CallContext, Operation, Outcome
from sandbox.api.orders import ORDER_ID
from sandbox.api.request_log import IncomingCall, LoggedCall, read_call
from sandbox.faults.kinds import StruckCall
from sandbox.serving.answers import (
    ApiAnswer,
    gateway_page,
    klarna_error,
    too_many_requests,
    unauthorized_page,
)
from sandbox.serving.reading import ApiRequest
from sandbox.serving.sending import Reply
from sandbox.state import SandboxState

_RETRY_AFTER_S = 1
# Passed to a fault that lets nothing run, and not looked at by it.
_NOT_RUN = Outcome(ApiAnswer(204))


def decide(state: SandboxState, request: ApiRequest) -> tuple[Reply, LoggedCall]:
    """Decide a call, let it take effect, log it; the reply is still to be sent.

    Takes the lock: the effect, the log entry and the first answer kept for the key are one step.
    """
    call = read_call(request, state.settings, state.basic_token)
    with state.lock:
        now_s = state.clock.now_s()
        if order := state.orders.get(call.order_id or ""):
            order.requests += 1
        fault = state.faults.strike(call.name, call.order_id, state.chance)
        outcome = _NOT_RUN if fault and not fault.runs else _run(state, call, now_s)
        reply = Reply(outcome.answer)
        if fault:
            struck = StruckCall(call.name, call.order_id, call.correlation_id)
            reply = fault.reply(struck, outcome.answer)
        entry = LoggedCall(
            seq=state.request_log.next_seq,
            at_s=now_s,
            call=call,
            status=reply.answer.status if reply.answer else None,
            effect=outcome.effect,
            replayed=outcome.replayed,
            correlated=reply.answer is not None and reply.answer.correlated,
            fault=fault.name if fault else None,
        )
        state.request_log.add(entry)
    return reply, entry


def _run(state: SandboxState, call: IncomingCall, now_s: float) -> Outcome:
    if not call.authorized:
        return Outcome(unauthorized_page())
    if not state.rate_limit.allows(now_s, state.settings.rate_per_s):
        return Outcome(too_many_requests(call.correlation_id, _RETRY_AFTER_S))
    if call.order_id is None or call.operation is None:
        return Outcome(_not_here(call))
    if not ORDER_ID.fullmatch(call.order_id):
        status = int(state.settings.invalid_order_id)
        message = "Order ID must be a valid UUID."
        return _error(call, status, message, "INVALID_ORDER_ID")
    key = call.idempotency_key if call.method != "GET" else None
    if first := state.first_answers.find(key, now_s):
        return Outcome(first, replayed=True)
    outcome = _on_order(state, call, call.operation, now_s)
    state.first_answers.keep(key, outcome.answer, now_s, keeps=state.settings.idempotency_keeps)
    return outcome


def _on_order(
    state: SandboxState, call: IncomingCall, operation: Operation, now_s: float
) -> Outcome:
    order = state.orders.get(call.order_id or "")
    hidden = state.settings.hide_other_merchants
    if order is None or not order.visible(now_s) or (order.other_merchant and hidden):
        return _error(call, 404, f"Order {call.order_id} cannot be found.")
    if order.other_merchant:
        return _error(call, 403, "The order belongs to another merchant.")
    return operation(order, CallContext(state.settings, now_s, call.correlation_id))


def _error(call: IncomingCall, status: int, message: str, code: str | None = None) -> Outcome:
    return Outcome(klarna_error(status, message, call.correlation_id, code))


def _not_here(call: IncomingCall) -> ApiAnswer:
    if call.order_id is None:
        return gateway_page(404)
    message = f"The sandbox does not know {call.method} {call.path}."
    return klarna_error(501, message, call.correlation_id, "NOT_IN_SANDBOX")
