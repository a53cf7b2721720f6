"""Control of the settings, the push URL and the clock; reset; the description of Klarna's side."""

from dataclasses import asdict

from sandbox.api.openapi import openapi
from sandbox.clock import iso
from sandbox.control.call import ControlCall, http_url_of
from sandbox.serving.answers import ApiAnswer, json_answer
from sandbox.settings import changed

_MAX_ADVANCE_S = 10**9
# In the year 8941: none after 9999 can be written.
_LAST_S = 2.2 * 10**11
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
    call.state.push_url = http_url_of(call.fields(["url"]), "url")
    return pusher(call)


def clock(call: ControlCall) -> ApiAnswer:
    """Show the sandbox's time and how fast it runs."""
    now = call.state.clock
    return json_answer(200, {"now": iso(now.now_s()), "speed": now.speed})


def move_clock(call: ControlCall) -> ApiAnswer:
    """Move the clock forward, change its speed, or both; what falls due is sent."""
    fields = call.fields(["advance_s", "speed"])
    with call.state.lock:
        left_s = max(0, min(_MAX_ADVANCE_S, _LAST_S - call.state.clock.now_s()))
        advance_s = fields.number("advance_s", 0, 0, left_s)
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


def described(_: ControlCall) -> ApiAnswer:
    """Describe Klarna's side as OpenAPI."""
    return json_answer(200, openapi())
