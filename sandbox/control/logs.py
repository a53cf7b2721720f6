"""The logs: calls on Klarna's side, pushes, and what came to the shop's side."""

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


def messages(call: ControlCall) -> ApiAnswer:
    """Show the messages that came to the receiver after `since`."""
    since, order_id = call.filters(["since", "order_id"])
    with call.state.lock:
        shown = [entry.view() for entry in call.state.receiver_log.since(since, order_id)]
    return json_answer(200, shown)


def plugin_calls(call: ControlCall) -> ApiAnswer:
    """Show the calls of the plugin's double after `since`."""
    since, order_id = call.filters(["since", "order_id"])
    with call.state.lock:
        shown = [entry.view() for entry in call.state.plugin_log.since(since, order_id)]
    return json_answer(200, shown)
