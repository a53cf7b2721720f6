"""Klarna's side: credentials, rate limit, order id, idempotency key, order, then the call itself.

Every call ends in the request log, also one that gets no answer. Sends nothing.
"""

from dataclasses import replace

from sandbox.api.calls import CallContext, Outcome, RefusedError
from sandbox.api.operations import PREFIX, ServedOperation
from sandbox.api.orders import ORDER_ID, StoredOrder
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
from sandbox.settings import SandboxSettings
from sandbox.state import SandboxState

# Passed to a fault that lets nothing run, and not looked at by it.
_NOT_RUN = Outcome(ApiAnswer(204))


def decide(state: SandboxState, request: ApiRequest) -> tuple[Reply, LoggedCall]:
    """Decide a call, let it take effect, log it; the reply is still to be sent.

    Takes the lock: the effect, the log entry and the first answer kept for the key are one step.
    """
    call = read_call(request, state.settings, state.merchants)
    with state.lock:
        now_s = state.clock.now_s()
        if order := state.orders.get(call.order_id or ""):
            order.requests += 1
        fault = state.faults.strike(call.name, call.order_id, state.chance)
        outcome = _NOT_RUN if fault and not fault.runs else _run(state, call, request, now_s)
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


def _run(state: SandboxState, call: IncomingCall, request: ApiRequest, now_s: float) -> Outcome:
    settings = state.settings
    if call.merchant is None:
        return Outcome(unauthorized_page())
    if not state.calls_of(call.merchant).rate_limit.allows(now_s, settings.rate_per_s):
        return Outcome(too_many_requests(call.correlation_id, settings.retry_after_s))
    if call.operation is None or call.target is None:
        return Outcome(_unknown(call))
    if malformed := _malformed(call, request, settings):
        return _refused(call, malformed)
    url = f"http://{request.headers.get('host', 'sandbox')}{PREFIX}{call.order_id}"
    context = CallContext(settings, now_s, request.body, call.target.item, url)
    return _once(state, call, call.operation, context)


def _malformed(
    call: IncomingCall, request: ApiRequest, settings: SandboxSettings
) -> RefusedError | None:
    if len(request.body) > settings.max_body_bytes:
        return RefusedError(413, None)
    if not ORDER_ID.fullmatch(call.order_id or ""):
        message, status = "Order ID must be a valid UUID.", int(settings.invalid_order_id)
        return RefusedError(status, message, "INVALID_ORDER_ID")
    return None


def _once(
    state: SandboxState, call: IncomingCall, operation: ServedOperation, context: CallContext
) -> Outcome:
    first_answers = state.calls_of(call.merchant or "").first_answers
    key = call.idempotency_key if call.method != "GET" else None
    if first := first_answers.find(key, context.now_s):
        return Outcome(first, replayed=True)
    try:
        outcome = operation.run(_order(state, call, operation, context.now_s), context)
    except RefusedError as refused:
        outcome = _refused(call, refused)
    keeps = context.settings.idempotency_keeps
    first_answers.keep(key, outcome.answer, context.now_s, keeps=keeps)
    return outcome


def _order(
    state: SandboxState, call: IncomingCall, operation: ServedOperation, now_s: float
) -> StoredOrder:
    settings = state.settings
    order = state.orders.get(call.order_id or "")
    not_found = RefusedError(404, operation.not_found.format(order_id=call.order_id))
    if order is None or not order.visible(now_s):
        raise not_found
    if order.other_merchant or (order.merchant or settings.username) != call.merchant:
        if settings.hide_other_merchants:
            raise not_found
        raise RefusedError(403, "The order belongs to another merchant.")
    order.let_expire(now_s)
    return order


def _refused(call: IncomingCall, refused: RefusedError) -> Outcome:
    return Outcome(klarna_error(refused.status, refused.message, call.correlation_id, refused.code))


def _unknown(call: IncomingCall) -> ApiAnswer:
    if call.target is None:
        return gateway_page(404)
    if methods := call.target.methods:
        message = f"{call.method} is not allowed here."
        answer = klarna_error(405, message, call.correlation_id, "METHOD_NOT_ALLOWED")
        return replace(answer, headers=(("Allow", ", ".join(methods)),))
    message = f"The sandbox does not know {call.method} {call.path}."
    return klarna_error(404, message, call.correlation_id, "NOT_IN_SANDBOX")
