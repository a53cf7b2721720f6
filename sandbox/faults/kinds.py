"""What each fault does, one entry a fault. Picks none and sends nothing: it makes the reply.

Three families: the call is answered *instead of* Klarna (it has no effect, unless the parameter
`effect` says so), it takes effect and the answer is *spoilt* on the way, or there is *no answer*.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from sandbox.serving.answers import (
    ERROR_CODES,
    ERROR_MESSAGES,
    HTML,
    JSON,
    ApiAnswer,
    gateway_page,
    json_answer,
    klarna_error,
    too_many_requests,
    unauthorized_page,
)
from sandbox.serving.sending import Manner, Reply

GET_ORDER = "get_order"
# HTTP forbids these a body; one would be read as the start of the next answer.
_BODILESS = (204, 304)
_PAGE = b"<html><body><h1>Welcome</h1></body></html>\r\n"


@dataclass(frozen=True, slots=True)
class FaultParams:
    """All parameters there are; each fault takes a few. `_s` are real seconds."""

    status: int = 500
    error_code: str | None = None
    body: str | None = None
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: float | None = 1
    hold_s: float = 30
    delay_s: float = 3
    location: str = "https://login.example/"
    byte_interval_s: float = 0.05
    order_id: str = "0badc0de-0bad-40de-8bad-0badc0de0bad"
    size_bytes: int = 32 * 1024 * 1024
    missing_bytes: int = 100
    effect: bool = False


@dataclass(frozen=True, slots=True)
class StruckCall:
    """What a fault may know of the call it strikes."""

    operation: str
    order_id: str | None
    correlation_id: str


#: Makes the reply of the parameters, the call and, where the operation ran, its own answer.
Maker = Callable[[FaultParams, StruckCall, ApiAnswer], Reply]


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One fault: its reply, its parameters, whether the call takes effect, where it can strike."""

    reply: Maker
    params: tuple[str, ...] = ()
    runs: bool = False
    only: str | None = None


def _instead(make: Callable[[FaultParams, StruckCall], ApiAnswer], *params: str) -> FaultKind:
    return FaultKind(lambda params, call, _: Reply(make(params, call)), (*params, "effect"))


def _silent(manner: Manner, *params: str, runs: bool) -> FaultKind:
    return FaultKind(
        lambda params, _call, _answer: Reply(None, manner, params.hold_s), params, runs=runs
    )


def _any_status(params: FaultParams, call: StruckCall) -> ApiAnswer:
    code = params.error_code or ERROR_CODES.get(params.status, "UNEXPECTED_ERROR")
    message = None if params.status in ERROR_MESSAGES else "Sandbox fault"
    answer = klarna_error(params.status, message, call.correlation_id, code)
    body = answer.body if params.body is None else params.body.encode(errors="surrogatepass")
    if params.status in _BODILESS:
        body = None
    return ApiAnswer(params.status, body, params.content_type, tuple(params.headers.items()))


def _no_such_order(_: FaultParams, call: StruckCall) -> ApiAnswer:
    return klarna_error(404, f"Order {call.order_id} cannot be found.", call.correlation_id)


def _not_allowed(_: FaultParams, call: StruckCall) -> ApiAnswer:
    return klarna_error(403, "Not allowed.", call.correlation_id)


def _no_error_code(params: FaultParams, call: StruckCall) -> ApiAnswer:
    # The singular `error_message` has been seen in life, too.
    content = {"error_message": "Sandbox fault", "correlation_id": call.correlation_id}
    return json_answer(params.status, content)


def _redirect(params: FaultParams, _: StruckCall) -> ApiAnswer:
    return gateway_page(302, ("Location", params.location))


def _with_body(answer: ApiAnswer, call: StruckCall) -> ApiAnswer:
    # A 204 has nothing to spoil: it becomes a 200 that says as little.
    return json_answer(200, {"order_id": call.order_id}) if answer.body is None else answer


def _truncated(_: FaultParams, call: StruckCall, answer: ApiAnswer) -> Reply:
    whole = _with_body(answer, call)
    body = whole.body or b""
    return Reply(replace(whole, body=body[: len(body) // 2]))


def _short(params: FaultParams, call: StruckCall, answer: ApiAnswer) -> Reply:
    return Reply(_with_body(answer, call), missing=params.missing_bytes)


def _drip(params: FaultParams, call: StruckCall, answer: ApiAnswer) -> Reply:
    return Reply(_with_body(answer, call), Manner.DRIP_BODY, params.byte_interval_s)


def _slow(params: FaultParams, _: StruckCall, answer: ApiAnswer) -> Reply:
    return Reply(answer, Manner.LATE, params.delay_s)


def _drip_headers(params: FaultParams, _: StruckCall, answer: ApiAnswer) -> Reply:
    return Reply(answer, Manner.DRIP_HEAD, params.byte_interval_s)


def _huge(params: FaultParams, call: StruckCall, answer: ApiAnswer) -> Reply:
    whole = _with_body(answer, call)
    return Reply(whole, padding=max(0, params.size_bytes - len(whole.body or b"")))


def _wrong_order(params: FaultParams, call: StruckCall, answer: ApiAnswer) -> Reply:
    body = (answer.body or b"").replace((call.order_id or "").encode(), params.order_id.encode())
    return Reply(replace(answer, body=body))


FAULTS: Mapping[str, FaultKind] = {
    "status": _instead(_any_status, "status", "error_code", "body", "content_type", "headers"),
    "rate_limited": _instead(
        lambda params, call: too_many_requests(call.correlation_id, params.retry_after_s),
        "retry_after_s",
    ),
    "timeout_before_effect": _silent(Manner.HOLD, "hold_s", runs=False),
    "timeout_after_effect": _silent(Manner.HOLD, "hold_s", runs=True),
    "reset_before_effect": _silent(Manner.RESET, runs=False),
    "reset_after_effect": _silent(Manner.RESET, runs=True),
    "unauthorized_html": _instead(lambda _params, _call: unauthorized_page()),
    "forbidden_html": _instead(lambda _params, _call: gateway_page(403)),
    "redirect": _instead(_redirect, "location"),
    "empty_404": _instead(lambda _params, _call: ApiAnswer(404, b"", HTML, correlated=False)),
    "html_404": _instead(lambda _params, _call: gateway_page(404)),
    "no_such_order": _instead(_no_such_order),
    "not_allowed": _instead(_not_allowed),
    "no_error_code": _instead(_no_error_code, "status"),
    "truncated_json": FaultKind(_truncated, runs=True),
    "short_body": FaultKind(_short, ("missing_bytes",), runs=True),
    "slow": FaultKind(_slow, ("delay_s",), runs=True),
    "drip": FaultKind(_drip, ("byte_interval_s",), runs=True),
    "drip_headers": FaultKind(_drip_headers, ("byte_interval_s",), runs=True),
    "wrong_order_id": FaultKind(_wrong_order, ("order_id",), runs=True, only=GET_ORDER),
    "not_json_200": _instead(lambda _params, _call: ApiAnswer(200, _PAGE, HTML, correlated=False)),
    "huge_body": FaultKind(_huge, ("size_bytes",), runs=True),
}
