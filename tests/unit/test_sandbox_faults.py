import json
from functools import partial
from typing import Any

import pytest

from sandbox.faults.injected import Faults, InjectedFault
from sandbox.faults.kinds import FAULTS, FaultParams, StruckCall
from sandbox.serving.answers import ApiAnswer, json_answer
from sandbox.serving.sending import Manner, Reply

_ORDER = "7849fd84-47dc-2919-a7ce-47b9f461562f"
_OTHER = "8849fd84-47dc-2919-a7ce-47b9f461562f"
_ORDER_ANSWER = json_answer(200, {"order_id": _ORDER, "status": "AUTHORIZED"})
_GET = StruckCall("get_order", _ORDER, "correlation-1")


def faults_of(*made: dict[str, Any]) -> Faults:
    faults = Faults()
    for each in made:
        faults.add(partial(InjectedFault, **each))
    return faults


def strikes(faults: Faults, *calls: tuple[str, str], chance: float = 0.0) -> list[str | None]:
    struck = [faults.strike(*call, lambda: chance) for call in calls]
    return [fault.name if fault else None for fault in struck]


def reply_to(name: str, answer: ApiAnswer = _ORDER_ANSWER, **params: Any) -> Reply:  # noqa: ANN401 - the fields of FaultParams
    return FAULTS[name].reply(FaultParams(**params), _GET, answer)


def test_it_strikes_with_the_first_that_matches() -> None:
    faults = faults_of(
        {"name": "redirect", "operation": "acknowledge"},
        {"name": "html_404", "order_id": _OTHER},
        {"name": "empty_404"},
        {"name": "not_allowed"},
    )

    assert strikes(
        faults, ("acknowledge", _ORDER), ("get_order", _OTHER), ("get_order", _ORDER)
    ) == ["redirect", "html_404", "empty_404"]


def test_it_strikes_as_often_as_it_was_told() -> None:
    faults = faults_of({"name": "redirect", "times": 2}, {"name": "empty_404", "times": 1})

    assert strikes(faults, *[("get_order", _ORDER)] * 4) == [
        "redirect",
        "redirect",
        "empty_404",
        None,
    ]


def test_it_gives_the_next_fault_a_turn_when_chance_spares_the_call() -> None:
    faults = faults_of({"name": "redirect", "probability": 0.3, "times": 1}, {"name": "empty_404"})

    assert strikes(faults, ("get_order", _ORDER), chance=0.3) == ["empty_404"]
    assert strikes(faults, ("get_order", _ORDER), chance=0.29) == ["redirect"]


def test_it_never_strikes_with_probability_0_and_always_with_1() -> None:
    never, always = faults_of({"name": "redirect", "probability": 0}), faults_of({"name": "drip"})

    assert strikes(never, ("get_order", _ORDER), chance=0.0) == [None]
    assert strikes(always, ("get_order", _ORDER), chance=0.999) == ["drip"]


def test_it_answers_for_another_order_only_where_an_order_is_shown() -> None:
    faults = faults_of({"name": "wrong_order_id"})

    assert strikes(faults, ("acknowledge", _ORDER), ("get_order", _ORDER)) == [
        None,
        "wrong_order_id",
    ]


def test_it_strikes_on_the_shops_side_only_when_that_is_named() -> None:
    faults = faults_of({"name": "redirect"}, {"name": "empty_404", "operation": "plugin"})

    assert strikes(
        faults, ("receiver", _ORDER), ("plugin", _ORDER), ("unknown", _ORDER), ("cancel", _ORDER)
    ) == [None, "empty_404", "redirect", "redirect"]


def test_it_strikes_no_more_once_lifted() -> None:
    faults = faults_of({"name": "redirect"}, {"name": "empty_404"}, {"name": "drip"})
    first = next(iter(faults)).fault_id

    assert (faults.remove(first), faults.remove(first)) == (True, False)
    assert strikes(faults, ("get_order", _ORDER)) == ["empty_404"]
    assert faults.clear() == 2
    assert strikes(faults, ("get_order", _ORDER)) == [None]


@pytest.mark.parametrize(
    ("name", "params", "status", "body"),
    [
        ("status", {"status": 503}, 503, "TEMPORARILY_UNAVAILABLE"),
        ("status", {"status": 409}, 409, '"error_code":"CONFLICT","error_messages":[]'),
        ("status", {"status": 500}, 500, '"error_messages":["Unexpected server error"]'),
        ("status", {"status": 418, "error_code": "TEAPOT"}, 418, "TEAPOT"),
        ("status", {"status": 500, "body": "<b>oh</b>"}, 500, "<b>oh</b>"),
        ("rate_limited", {}, 429, "TOO_MANY_REQUESTS"),
        ("unauthorized_html", {}, 401, "401 Authorization Required"),
        ("forbidden_html", {}, 403, "403 Forbidden"),
        ("redirect", {}, 302, "302 Found"),
        ("empty_404", {}, 404, ""),
        ("html_404", {}, 404, "<h1>404 Not Found</h1>"),
        ("no_such_order", {}, 404, '"error_code":"NO_SUCH_ORDER"'),
        ("not_allowed", {}, 403, '"error_code":"NOT_ALLOWED"'),
        ("no_error_code", {"status": 422}, 422, '"error_message"'),
        ("not_json_200", {}, 200, "<html>"),
    ],
)
def test_it_answers_instead_of_klarna(
    name: str, params: dict[str, Any], status: int, body: str
) -> None:
    reply = reply_to(name, **params)

    assert reply.answer is not None
    assert reply.answer.status == status
    assert body in (reply.answer.body or b"").decode()
    assert (reply.prompt, reply.missing, FAULTS[name].runs) == (True, 0, False)


@pytest.mark.parametrize("status", [204, 304])
def test_it_gives_no_body_where_http_forbids_one(status: int) -> None:
    assert reply_to("status", status=status, body="x").answer == ApiAnswer(status)


def test_it_sends_the_headers_it_was_told() -> None:
    headers = {"X-One": "1", "Retry-After": "9"}
    answer = reply_to("status", headers=headers, content_type="text/plain").answer

    assert answer is not None
    assert (dict(answer.headers), answer.content_type) == (headers, "text/plain")


@pytest.mark.parametrize(
    ("retry_after_s", "headers"), [(7, {"Retry-After": "7"}), (0, {"Retry-After": "0"}), (None, {})]
)
def test_it_names_the_wait_or_does_not(
    retry_after_s: float | None, headers: dict[str, str]
) -> None:
    answer = reply_to("rate_limited", retry_after_s=retry_after_s).answer

    assert answer is not None
    assert dict(answer.headers) == headers


@pytest.mark.parametrize("name", ["unauthorized_html", "forbidden_html", "redirect", "html_404"])
def test_it_gives_a_page_of_the_gateway_no_correlation_id(name: str) -> None:
    answer = reply_to(name).answer

    assert answer is not None
    assert (answer.correlated, answer.content_type) == (False, "text/html")


@pytest.mark.parametrize(
    ("name", "reply", "runs"),
    [
        ("timeout_before_effect", Reply(None, Manner.HOLD, 5), False),
        ("timeout_after_effect", Reply(None, Manner.HOLD, 5), True),
        ("reset_before_effect", Reply(None, Manner.RESET, 5), False),
        ("reset_after_effect", Reply(None, Manner.RESET, 5), True),
    ],
)
def test_it_gives_no_answer_before_or_after_the_effect(
    name: str,
    reply: Reply,
    *,
    runs: bool,
) -> None:
    assert (reply_to(name, hold_s=5), FAULTS[name].runs) == (reply, runs)


@pytest.mark.parametrize(
    "name",
    ["slow", "truncated_json", "short_body", "drip", "drip_headers", "wrong_order_id", "huge_body"],
)
def test_it_lets_a_call_take_effect_whose_answer_it_spoils(name: str) -> None:
    assert FAULTS[name].runs


def test_it_lets_a_call_take_effect_although_another_answers_if_told_so() -> None:
    hidden = InjectedFault("f", "status", params=FaultParams(status=502, effect=True))
    plain = InjectedFault("f", "status", params=FaultParams(status=502))

    assert (hidden.runs, plain.runs) == (True, False)


def test_it_cuts_the_json_in_half() -> None:
    answer = reply_to("truncated_json").answer

    assert answer is not None
    assert answer.body is not None
    assert (_ORDER_ANSWER.body or b"").startswith(answer.body)
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.body)


@pytest.mark.parametrize("name", ["truncated_json", "short_body", "drip", "huge_body"])
def test_it_gives_a_204_a_body_to_spoil(name: str) -> None:
    answer = reply_to(name, ApiAnswer(204)).answer

    assert answer is not None
    assert (answer.status, bool(answer.body)) == (200, True)


def test_it_announces_more_than_it_sends() -> None:
    reply = reply_to("short_body", missing_bytes=17)

    assert reply == Reply(_ORDER_ANSWER, missing=17)


def test_it_drips_body_or_head() -> None:
    assert reply_to("drip", byte_interval_s=2) == Reply(_ORDER_ANSWER, Manner.DRIP_BODY, 2)
    assert reply_to("drip_headers", byte_interval_s=2) == Reply(_ORDER_ANSWER, Manner.DRIP_HEAD, 2)


def test_it_answers_late() -> None:
    assert reply_to("slow", delay_s=2) == Reply(_ORDER_ANSWER, Manner.LATE, 2)


def test_it_shows_another_orders_id() -> None:
    answer = reply_to("wrong_order_id", order_id=_OTHER).answer

    assert answer == json_answer(200, {"order_id": _OTHER, "status": "AUTHORIZED"})


def test_it_pads_an_answer_to_its_size() -> None:
    reply = reply_to("huge_body", size_bytes=5000)

    assert len((reply.answer or ApiAnswer(204)).body or b"") + reply.padding == 5000
