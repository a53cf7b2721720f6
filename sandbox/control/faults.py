"""Control of faults: put one in force, list them, lift them."""

import json
import re

from sandbox.api.operations import NAMES, UNKNOWN
from sandbox.control.call import ControlCall, NotFoundError, order_id_of
from sandbox.control.inputs import BadInputError, Fields
from sandbox.faults.injected import ANY, SHOP_SIDE, InjectedFault
from sandbox.faults.kinds import FAULTS, FaultParams
from sandbox.serving.answers import ApiAnswer, json_answer

_OPERATIONS = (*NAMES, UNKNOWN, ANY, *SHOP_SIDE)
_MAX_TIMES = 10**9
_MAX_WAIT_S = 3600
_MAX_BYTES = 2**31
_ONE_LINE = re.compile(r"[ -~]+")


def create(call: ControlCall) -> ApiAnswer:
    """Put a fault in force behind the others; the first that matches strikes."""
    fields = call.fields(["fault", "operation", "order_id", "times", "probability", "params"])
    name = fields.choice("fault", "", tuple(FAULTS))
    only = FAULTS[name].only
    operation = fields.choice("operation", ANY, (only, ANY) if only else _OPERATIONS)
    order_id = order_id_of(fields, "") if "order_id" in fields else None
    times = fields.whole_or_none("times", None, 1, _MAX_TIMES)
    probability = fields.number("probability", 1, 0, 1)
    raw_params = fields.raw("params") if "params" in fields else {}
    params = _params(Fields(raw_params, FAULTS[name].params, "params"))
    with call.state.lock:
        fault = call.state.faults.add(
            lambda fault_id: InjectedFault(
                fault_id, name, operation, order_id, times, probability, params
            )
        )
    return json_answer(201, {"fault_id": fault.fault_id})


def every(call: ControlCall) -> ApiAnswer:
    """Show the faults in force and how often each struck."""
    with call.state.lock:
        shown = [fault.view() for fault in call.state.faults]
    return json_answer(200, shown)


def lift_all(call: ControlCall) -> ApiAnswer:
    """Lift all faults. Connections they hold stay held; a reset lets them go."""
    with call.state.lock:
        lifted = call.state.faults.clear()
    return json_answer(200, {"lifted": lifted})


def lift(call: ControlCall) -> ApiAnswer:
    """Lift one fault."""
    with call.state.lock:
        lifted = call.state.faults.remove(call.item)
    if not lifted:
        raise NotFoundError(f"no fault {call.item}")
    return json_answer(200, {"lifted": 1})


def _params(given: Fields) -> FaultParams:
    default = FaultParams()
    retry_after_s: float | None = default.retry_after_s
    if "retry_after_s" in given:
        absent = given.raw("retry_after_s") is None
        retry_after_s = None if absent else given.number("retry_after_s", 1, 0, 86_400)
    return FaultParams(
        status=given.whole("status", default.status, 200, 599),
        error_code=given.text("error_code", "-") if "error_code" in given else None,
        body=_body(given) if "body" in given else None,
        content_type=given.text("content_type", default.content_type, _ONE_LINE),
        headers=_headers(given),
        retry_after_s=retry_after_s,
        hold_s=given.number("hold_s", default.hold_s, 0, _MAX_WAIT_S),
        location=given.text("location", default.location, _ONE_LINE),
        delay_s=given.number("delay_s", default.delay_s, 0, _MAX_WAIT_S),
        byte_interval_s=given.number("byte_interval_s", default.byte_interval_s, 0, _MAX_WAIT_S),
        order_id=order_id_of(given, default.order_id),
        size_bytes=given.whole("size_bytes", default.size_bytes, 1, _MAX_BYTES),
        missing_bytes=given.whole("missing_bytes", default.missing_bytes, 1, _MAX_BYTES),
        effect=given.flag("effect", default=default.effect),
    )


def _body(given: Fields) -> str:
    body = given.raw("body")
    return body if isinstance(body, str) else json.dumps(body)


def _headers(given: Fields) -> dict[str, str]:
    raw = given.raw("headers") if "headers" in given else {}
    if not isinstance(raw, dict) or not all(
        _one_line(each) for pair in raw.items() for each in pair
    ):
        raise BadInputError("params.headers", "an object of header names and one-line strings")
    return raw


def _one_line(value: object) -> bool:
    return isinstance(value, str) and _ONE_LINE.fullmatch(value) is not None
