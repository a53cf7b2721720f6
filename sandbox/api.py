"""Klarna's side: credentials, rate limit, order id, idempotency key, order, then the call itself.

Every call ends in the request log, also one that gets no answer. Sends nothing.
"""

from sandbox.answers import (
    ApiAnswer,
    gateway_page,
    klarna_error,
    too_many_requests,
    unauthorized_page,
)
from sandbox.arrival import Arrival, arrive
from sandbox.fault_params import ApiCall
from sandbox.journal import JournalEntry
from sandbox.operations import Circumstances, Operation, Outcome
from sandbox.orders import ORDER_ID
from sandbox.reply import Reply
from sandbox.wire import ApiRequest
from sandbox.world import World

_RETRY_AFTER_S = 1
# Passed to a fault that lets nothing run, and not looked at by it.
_NOT_RUN = Outcome(ApiAnswer(204))


def decide(world: World, request: ApiRequest) -> tuple[Reply, JournalEntry]:
    """Decide a call, let it take effect, log it; the reply is still to be sent.

    Takes the lock: the effect, the log entry and the first answer kept for the key are one step.
    """
    arrival = arrive(request, world.settings, world.basic_token)
    with world.lock:
        now_s = world.clock.now_s()
        if order := world.orders.get(arrival.order_id or ""):
            order.requests += 1
        fault = world.faults.strike(arrival.name, arrival.order_id, world.chance)
        outcome = _NOT_RUN if fault and not fault.runs else _run(world, arrival, now_s)
        reply = Reply(outcome.answer)
        if fault:
            call = ApiCall(arrival.name, arrival.order_id, arrival.correlation_id)
            reply = fault.reply(call, outcome.answer)
        entry = JournalEntry(
            seq=world.journal.next_seq,
            at_s=now_s,
            arrival=arrival,
            status=reply.answer.status if reply.answer else None,
            effect=outcome.effect,
            replayed=outcome.replayed,
            correlated=reply.answer is not None and reply.answer.correlated,
            fault=fault.name if fault else None,
        )
        world.journal.add(entry)
    return reply, entry


def _run(world: World, arrival: Arrival, now_s: float) -> Outcome:
    if not arrival.authorized:
        return Outcome(unauthorized_page())
    if not world.rate_limit.allows(now_s, world.settings.rate_per_s):
        return Outcome(too_many_requests(arrival.correlation_id, _RETRY_AFTER_S))
    if arrival.order_id is None or arrival.operation is None:
        return Outcome(_not_here(arrival))
    if not ORDER_ID.fullmatch(arrival.order_id):
        status = int(world.settings.invalid_order_id)
        message = "Order ID must be a valid UUID."
        return _error(arrival, status, message, "INVALID_ORDER_ID")
    key = arrival.idempotency_key if arrival.method != "GET" else None
    if first := world.first_answers.find(key, now_s):
        return Outcome(first, replayed=True)
    outcome = _on_order(world, arrival, arrival.operation, now_s)
    world.first_answers.keep(key, outcome.answer, now_s, keeps=world.settings.idempotency_keeps)
    return outcome


def _on_order(world: World, arrival: Arrival, operation: Operation, now_s: float) -> Outcome:
    order = world.orders.get(arrival.order_id or "")
    hidden = world.settings.hide_other_merchants
    if order is None or not order.visible(now_s) or (order.other_merchant and hidden):
        return _error(arrival, 404, f"Order {arrival.order_id} cannot be found.")
    if order.other_merchant:
        return _error(arrival, 403, "The order belongs to another merchant.")
    return operation(order, Circumstances(world.settings, now_s, arrival.correlation_id))


def _error(arrival: Arrival, status: int, message: str, code: str | None = None) -> Outcome:
    return Outcome(klarna_error(status, message, arrival.correlation_id, code))


def _not_here(arrival: Arrival) -> ApiAnswer:
    if arrival.order_id is None:
        return gateway_page(404)
    message = f"The sandbox does not know {arrival.method} {arrival.path}."
    return klarna_error(501, message, arrival.correlation_id, "NOT_IN_SANDBOX")
