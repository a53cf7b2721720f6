"""The control side: finds the call, runs it, turns bad input into a 400 that names the field."""

from collections.abc import Callable, Mapping

from sandbox import control_faults, control_orders, control_rest
from sandbox.answers import ApiAnswer, json_answer
from sandbox.control_call import ControlCall, NotFoundError
from sandbox.inputs import BadInputError
from sandbox.sender import PushSender
from sandbox.wire import ApiRequest
from sandbox.world import World

PREFIX = "/_control"
_ID = "{id}"

CALLS: Mapping[tuple[str, str], Callable[[ControlCall], ApiAnswer]] = {
    ("POST", "orders"): control_orders.create,
    ("GET", "orders"): control_orders.every,
    ("GET", "orders/{id}"): control_orders.one,
    ("PATCH", "orders/{id}"): control_orders.change,
    ("POST", "pushes"): control_orders.push,
    ("GET", "pushes"): control_rest.pushes,
    ("GET", "requests"): control_rest.requests,
    ("POST", "faults"): control_faults.create,
    ("GET", "faults"): control_faults.every,
    ("DELETE", "faults"): control_faults.lift_all,
    ("DELETE", "faults/{id}"): control_faults.lift,
    ("GET", "settings"): control_rest.settings,
    ("PUT", "settings"): control_rest.change_settings,
    ("GET", "pusher"): control_rest.pusher,
    ("PUT", "pusher"): control_rest.change_pusher,
    ("GET", "clock"): control_rest.clock,
    ("PUT", "clock"): control_rest.move_clock,
    ("POST", "reset"): control_rest.reset,
    ("GET", "healthz"): control_rest.healthz,
}


def answer(world: World, sender: PushSender, request: ApiRequest) -> ApiAnswer:
    """Run one control call: 400 for bad input, 404 for what is not there, 405 for the method."""
    what, _, item = request.path.removeprefix(PREFIX).lstrip("/").partition("/")
    path = f"{what}/{_ID}" if item else what
    run = CALLS.get((request.method, path))
    if run is None:
        return _no_such_call(path)
    try:
        return run(ControlCall(world, sender, item.lower(), request.query, request.body))
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
    return json_answer(
        404, {"error": "no such control call", "calls": sorted({p for _, p in CALLS})}
    )
