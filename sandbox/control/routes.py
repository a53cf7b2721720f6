"""The control side: finds the call, runs it, turns bad input into a 400 that names the field."""

from collections.abc import Callable, Mapping

from sandbox.control import faults, logs, notifications, orders, settings
from sandbox.control.call import ControlCall, NotFoundError
from sandbox.control.inputs import BadInputError
from sandbox.pushing.sender import PushSender
from sandbox.serving.answers import ApiAnswer, json_answer
from sandbox.serving.reading import ApiRequest
from sandbox.state import SandboxState

PREFIX = "/_control"
_ID = "{id}"

CALLS: Mapping[tuple[str, str], Callable[[ControlCall], ApiAnswer]] = {
    ("POST", "orders"): orders.create,
    ("GET", "orders"): orders.every,
    ("GET", "orders/{id}"): orders.one,
    ("PATCH", "orders/{id}"): orders.change,
    ("POST", "pushes"): orders.push,
    ("GET", "pushes"): logs.pushes,
    ("POST", "notifications"): notifications.notify,
    ("GET", "requests"): logs.requests,
    ("GET", "receiver/messages"): logs.messages,
    ("GET", "plugin/calls"): logs.plugin_calls,
    ("POST", "faults"): faults.create,
    ("GET", "faults"): faults.every,
    ("DELETE", "faults"): faults.lift_all,
    ("DELETE", "faults/{id}"): faults.lift,
    ("GET", "settings"): settings.settings,
    ("PUT", "settings"): settings.change_settings,
    ("GET", "pusher"): settings.pusher,
    ("PUT", "pusher"): settings.change_pusher,
    ("GET", "clock"): settings.clock,
    ("PUT", "clock"): settings.move_clock,
    ("POST", "reset"): settings.reset,
    ("GET", "healthz"): settings.healthz,
    ("GET", "openapi.json"): settings.described,
}
_PATHS = frozenset(path for _, path in CALLS)


def answer(state: SandboxState, sender: PushSender, request: ApiRequest) -> ApiAnswer:
    """Run one control call: 400 for bad input, 404 for what is not there, 405 for the method."""
    path, item = request.path.removeprefix(PREFIX).lstrip("/"), ""
    if "/" in path and path not in _PATHS:
        what, _, item = path.partition("/")
        path = f"{what}/{_ID}"
    run = CALLS.get((request.method, path))
    if run is None:
        return _no_such_call(path)
    try:
        return run(ControlCall(state, sender, item.lower(), request.query, request.body))
    except BadInputError as error:
        return json_answer(
            400, {"error": str(error), "field": error.field, "allowed": error.allowed}
        )
    except NotFoundError as error:
        return json_answer(404, {"error": str(error)})


def _no_such_call(path: str) -> ApiAnswer:
    methods = [method for method, known in CALLS if known == path]
    if methods:
        return json_answer(405, {"error": f"allowed here: {', '.join(methods)}"})
    return json_answer(404, {"error": "no such control call", "calls": sorted(_PATHS)})
