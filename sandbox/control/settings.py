"""Control of the settings, the push URL and the clock; reset."""

from dataclasses import asdict
from urllib.parse import urlsplit

from sandbox.clock import iso
from sandbox.control.call import ControlCall
from sandbox.control.inputs import BadInputError
from sandbox.serving.answers import ApiAnswer, json_answer
from sandbox.settings import changed

_MAX_ADVANCE_S = 10**9
_MAX_SPEED = 10**6


def settings(call: ControlCall) -> ApiAnswer:
    """Show the switches, the password too: it is the sandbox's own."""
    return json_answer(200, asdict(call.state.settings))


def change_settings(call: ControlCall) -> ApiAnswer:
    """Take over any subset of the switches, and show all."""
    fields = call.fields([*asdict(call.state.settings)])
    with call.state.lock:
        call.state.use(changed(call.state.settings, fields))
    return settings(call)


def pusher(call: ControlCall) -> ApiAnswer:
    """Show where pushes go."""
    return json_answer(200, {"url": call.state.push_url})


def change_pusher(call: ControlCall) -> ApiAnswer:
    """Say where pushes go, those already scheduled too."""
    url = call.fields(["url"]).text("url", "")
    if not _pushable(url):
        raise BadInputError("url", "an http:// or https:// URL, with {checkout.order.id} in it")
    call.state.push_url = url
    return pusher(call)


def clock(call: ControlCall) -> ApiAnswer:
    """Show the sandbox's time and how fast it runs."""
    now = call.state.clock
    return json_answer(200, {"now": iso(now.now_s()), "speed": now.speed})


def move_clock(call: ControlCall) -> ApiAnswer:
    """Move the clock forward, change its speed, or both; what falls due is sent."""
    fields = call.fields(["advance_s", "speed"])
    advance_s = fields.number("advance_s", 0, 0, _MAX_ADVANCE_S)
    with call.state.lock:
        speed = fields.number("speed", call.state.clock.speed, 0, _MAX_SPEED)
        call.state.clock.advance(advance_s)
        call.state.clock.run_at(speed)
    call.sender.look_again()
    return clock(call)


def reset(call: ControlCall) -> ApiAnswer:
    """Forget everything but the settings and where pushes go; the clock shows real time again."""
    call.state.reset()
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
