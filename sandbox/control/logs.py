"""The logs: calls on Klarna's side, and pushes."""

from sandbox.control.call import ControlCall
from sandbox.control.orders import push_view
from sandbox.serving.answers import ApiAnswer, json_answer


def requests(call: ControlCall) -> ApiAnswer:
    """Show the request log after `since`, of one order if asked."""
    since, order_id = call.filters(["since", "order_id"])
    with call.state.lock:
        shown = [entry.view() for entry in call.state.request_log.since(since, order_id)]
    return json_answer(200, shown)


def pushes(call: ControlCall) -> ApiAnswer:
    """Show the pushes sent after `since`, in the order in which they ended."""
    since, order_id = call.filters(["since", "order_id"])
    with call.state.lock:
        sent = call.state.push_log.since(since, order_id)
    return json_answer(200, [push_view(push) for push in sent])
