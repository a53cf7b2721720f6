"""Control of the settings, the push URL and the clock; the logs; reset."""

from dataclasses import asdict
from urllib.parse import urlsplit

from sandbox.answers import ApiAnswer, json_answer
from sandbox.clock import iso
from sandbox.control_call import ControlCall
from sandbox.control_orders import push_view
from sandbox.inputs import BadInputError
from sandbox.settings import changed

_MAX_ADVANCE_S = 10**9
_MAX_SPEED = 10**6


def requests(call: ControlCall) -> ApiAnswer:
    """Show the request log after `since`, of one order if asked."""
    since, order_id = call.filters(["since", "order_id"])
    with call.world.lock:
        shown = [entry.view() for entry in call.world.journal.since(since, order_id)]
    return json_answer(200, shown)


def pushes(call: ControlCall) -> ApiAnswer:
    """Show the pushes sent after `since`, in the order in which they ended."""
    since, order_id = call.filters(["since", "order_id"])
    with call.world.lock:
        sent = call.world.push_log.since(since, order_id)
    return json_answer(200, [push_view(push) for push in sent])


def settings(call: ControlCall) -> ApiAnswer:
    """Show the switches, the password too: it is the sandbox's own."""
    return json_answer(200, asdict(call.world.settings))


def change_settings(call: ControlCall) -> ApiAnswer:
    """Take over any subset of the switches, and show all."""
    fields = call.fields([*asdict(call.world.settings)])
    with call.world.lock:
        call.world.use(changed(call.world.settings, fields))
    return settings(call)


def pusher(call: ControlCall) -> ApiAnswer:
    """Show where pushes go."""
    return json_answer(200, {"url": call.world.push_url})


def change_pusher(call: ControlCall) -> ApiAnswer:
    """Say where pushes go, those already scheduled too."""
    url = call.fields(["url"]).text("url", "")
    if not _pushable(url):
        raise BadInputError("url", "an http:// or https:// URL, with {checkout.order.id} in it")
    call.world.push_url = url
    return pusher(call)


def clock(call: ControlCall) -> ApiAnswer:
    """Show the sandbox's time and how fast it runs."""
    now = call.world.clock
    return json_answer(200, {"now": iso(now.now_s()), "speed": now.speed})


def move_clock(call: ControlCall) -> ApiAnswer:
    """Move the clock forward, change its speed, or both; what falls due is sent."""
    fields = call.fields(["advance_s", "speed"])
    advance_s = fields.number("advance_s", 0, 0, _MAX_ADVANCE_S)
    with call.world.lock:
        speed = fields.number("speed", call.world.clock.speed, 0, _MAX_SPEED)
        call.world.clock.advance(advance_s)
        call.world.clock.run_at(speed)
    call.sender.look_again()
    return clock(call)


def reset(call: ControlCall) -> ApiAnswer:
    """Forget everything but the settings and where pushes go; the clock shows real time again."""
    call.world.reset()
    call.sender.look_again(forget=True)
    return json_answer(200, {"status": "reset"})


def healthz(_: ControlCall) -> ApiAnswer:
    """Say that the sandbox is alive."""
    return json_answer(200, {"status": "ok"})


def _pushable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an address that cannot be one
        return False
