import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from pushes.accounts.holds import AccountHold, Standing
from pushes.accounts.pauses import Pause
from pushes.log import trace
from pushes.model import Entry, HoldReason, OrderSnapshot, Push, PushKey, Reason, State
from pushes.read import overview, views
from pushes.read.alarms import Alarm
from pushes.read.at_risk import RiskGroup
from pushes.read.by_account import AccountCounts
from pushes.read.overview import Overview
from pushes.read.workers import LiveWorkers
from pushes.resends import ResendCounts
from pushes.store.counted.refusals import RefusalReason

ORDER_ID = "0c3e1f2a-1111-6222-a333-444455556666"
KEY = PushKey("eu", ORDER_ID)
AT = datetime(2026, 1, 31, 8, 15, 0, 250_000, tzinfo=UTC)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
BROUGHT = f"00-{TRACE}-00f067aa0ba902b7-01"

NO_ORDER = {
    "status": None,
    "fraud_status": None,
    "order_amount": None,
    "captured_amount": None,
    "refunded_amount": None,
    "remaining_authorized_amount": None,
    "purchase_currency": None,
    "expires_at": None,
    "klarna_reference": None,
    "merchant_reference1": None,
    "merchant_reference2": None,
}


def after(minutes: float) -> datetime:
    return AT + timedelta(minutes=minutes)


def test_it_names_a_push_and_its_state() -> None:
    push = Push(KEY, State.NOT_NEEDED, 3, AT, AT, AT)
    assert views.brief(push) == {"order_id": ORDER_ID, "account": "eu", "state": "not_needed"}


def test_it_shows_every_key_of_a_push_that_has_only_just_come() -> None:
    push = Push(KEY, State.QUEUED, 1, AT, AT, AT, pushes=1)
    assert dict(views.full(push, [], after(1))) == {
        "order_id": ORDER_ID,
        "account": "eu",
        "state": "queued",
        "reason": None,
        "attempts": 0,
        "pushes": 1,
        "first_push_at": "2026-01-31T08:15:00.250Z",
        "last_push_at": "2026-01-31T08:15:00.250Z",
        "next_attempt_at": None,
        "deadline_at": "2026-02-02T08:15:00.250Z",
        "overdue": False,
        "verified_at": None,
        "handed_over_at": None,
        "references_set_at": None,
        "decision_handed_over_at": None,
        "acknowledged_at": None,
        "crashes": 0,
        "last_error": None,
        "error_code": None,
        "correlation_id": None,
        "trace_id": trace.trace_id(push),
        "traceparent": trace.header(push),
        "discarded": False,
        "fraud_event": None,
        "next_step": None,
        "order": NO_ORDER,
        "timeline": [],
        "kept_aside": {},
    }


def test_it_shows_everything_that_is_known() -> None:
    order = OrderSnapshot(
        status="AUTHORIZED",
        fraud_status="ACCEPTED",
        order_amount=6000,
        captured_amount=0,
        refunded_amount=0,
        remaining_authorized_amount=6000,
        purchase_currency="SEK",
        expires_at=after(60),
        klarna_reference="K-1",
        merchant_reference1="M-1",
        merchant_reference2="M-2",
    )
    push = Push(
        KEY,
        State.DEAD,
        9,
        first_push_at=AT,
        last_push_at=after(1),
        changed_at=after(5),
        reason=Reason.NOT_ALLOWED,
        pushes=2,
        attempts=4,
        crashes=1,
        next_attempt_at=after(2),
        verified_at=after(3),
        handed_over_at=after(6),
        references_set_at=after(7),
        decision_handed_over_at=after(8),
        acknowledged_at=after(4),
        last_error="HTTP 403 NOT_ALLOWED",
        error_code="NOT_ALLOWED",
        correlation_id="corr-9",
        discarded=True,
        trace=BROUGHT,
        order=order,
    )
    timeline = [
        Entry(AT, "pushed"),
        Entry(after(1), "called", "get_order", 403, 41, "NOT_ALLOWED", "c-1", "told off", "anna"),
    ]
    nothing = dict.fromkeys(
        ("call", "http_status", "ms", "error_code", "correlation_id", "detail", "by")
    )
    assert views.full(push, timeline, after(1)) == {
        "order_id": ORDER_ID,
        "account": "eu",
        "state": "dead",
        "reason": "not_allowed",
        "attempts": 4,
        "pushes": 2,
        "first_push_at": "2026-01-31T08:15:00.250Z",
        "last_push_at": "2026-01-31T08:16:00.250Z",
        "next_attempt_at": "2026-01-31T08:17:00.250Z",
        "deadline_at": "2026-02-02T08:15:00.250Z",
        "overdue": False,
        "verified_at": "2026-01-31T08:18:00.250Z",
        "handed_over_at": "2026-01-31T08:21:00.250Z",
        "references_set_at": "2026-01-31T08:22:00.250Z",
        "decision_handed_over_at": "2026-01-31T08:23:00.250Z",
        "acknowledged_at": "2026-01-31T08:19:00.250Z",
        "crashes": 1,
        "last_error": "HTTP 403 NOT_ALLOWED",
        "error_code": "NOT_ALLOWED",
        "correlation_id": "corr-9",
        "trace_id": TRACE,
        "traceparent": BROUGHT,
        "discarded": True,
        "fraud_event": None,
        "next_step": "Nothing: an operator discarded it. To take that back, replay it.",
        "order": {
            "status": "AUTHORIZED",
            "fraud_status": "ACCEPTED",
            "order_amount": 6000,
            "captured_amount": 0,
            "refunded_amount": 0,
            "remaining_authorized_amount": 6000,
            "purchase_currency": "SEK",
            "expires_at": "2026-01-31T09:15:00.250Z",
            "klarna_reference": "K-1",
            "merchant_reference1": "M-1",
            "merchant_reference2": "M-2",
        },
        "timeline": [
            {"at": "2026-01-31T08:15:00.250Z", "event": "pushed", **nothing},
            {
                "at": "2026-01-31T08:16:00.250Z",
                "event": "called",
                "call": "get_order",
                "http_status": 403,
                "ms": 41,
                "error_code": "NOT_ALLOWED",
                "correlation_id": "c-1",
                "detail": "told off",
                "by": "anna",
            },
        ],
        "kept_aside": {},
    }


def test_it_calls_late_what_is_open_past_its_deadline() -> None:
    over = AT + timedelta(hours=48)
    dead = Push(KEY, State.DEAD, 3, AT, AT, AT, reason=Reason.REJECTED)
    pushes = [
        Push(KEY, State.RETRYING, 3, AT, AT, AT),
        dead,
        replace(dead, discarded=True),
        Push(KEY, State.ACKNOWLEDGED, 3, AT, AT, AT),
    ]
    assert [views.full(push, [], over)["overdue"] for push in pushes] == [True, True, False, False]
    assert not views.full(dead, [], over - timedelta(milliseconds=1))["overdue"]
    assert views.dead_letter(dead, over)["overdue"]


def test_it_gives_no_next_step_for_what_is_held() -> None:
    push = Push(KEY, State.HELD, 3, AT, AT, AT, reason=HoldReason.OUTAGE)
    view = views.full(push, [], after(1))
    assert (view["reason"], view["next_step"]) == ("outage", None)


def test_it_shows_a_dead_letter_in_one_line() -> None:
    push = Push(
        KEY,
        State.DEAD,
        3,
        first_push_at=AT,
        last_push_at=after(1),
        changed_at=after(2),
        reason=Reason.REJECTED,
        pushes=2,
        attempts=1,
        last_error="HTTP 400 BAD_VALUE",
        error_code="BAD_VALUE",
        correlation_id="corr-9",
        order=OrderSnapshot(order_amount=6000, purchase_currency="SEK"),
    )
    line = {
        "order_id": ORDER_ID,
        "account": "eu",
        "reason": "rejected",
        "first_push_at": "2026-01-31T08:15:00.250Z",
        "deadline_at": "2026-02-02T08:15:00.250Z",
        "overdue": False,
        "attempts": 1,
        "pushes": 2,
        "last_error": "HTTP 400 BAD_VALUE",
        "error_code": "BAD_VALUE",
        "correlation_id": "corr-9",
        "order_amount": 6000,
        "purchase_currency": "SEK",
    }
    died_at = "2026-01-31T08:17:00.250Z"
    assert views.dead_letter(push, after(1)) == line | {
        "died_at": died_at,
        "next_step": Reason.REJECTED.next_step,
    }
    assert views.in_state(push, after(1)) == line | {
        "state": "dead",
        "since": died_at,
        "next_attempt_at": None,
    }


def an_overview(**facts: Any) -> Overview:  # noqa: ANN401 - as `replace`
    nothing = Overview(
        at=AT,
        states=dict.fromkeys(State, 0),
        oldest_deadline=None,
        workers=LiveWorkers(),
        standings={},
        by_account=AccountCounts(),
        dead_by_reason={},
        at_risk=[],
        alarms={},
        resends=ResendCounts(),
        events={},
        refused={},
        unreadable=[],
    )
    return replace(nothing, **facts)


def test_it_shows_how_everything_is() -> None:
    counts = {state: number for number, state in enumerate(State)}
    hold = AccountHold(HoldReason.CREDENTIALS, "HTTP 401", AT, probe_at=after(1))
    seen = an_overview(
        states=counts,
        oldest_deadline=after(-90) + timedelta(hours=48),
        workers=LiveWorkers(2, 1, suspended=True),
        standings={
            "eu": Standing(hold),
            "us": Standing(None, 7, Pause("us", after(2), "HTTP 429")),
        },
        by_account=AccountCounts({"eu": {State.HELD: 3, State.DEAD: 6}}, partial=True),
        dead_by_reason={Reason.REJECTED: 6},
        at_risk=[RiskGroup(0, 3, {"SEK": 6000, "EUR": 1}, 1, partial=True)],
        alarms={Alarm.PUSHES_NOT_REACHING_US: AT},
        refused={("eu", RefusalReason.WRONG_TOKEN): 12},
        unreadable=["a key"],
    )
    none = {"queued": 0, "running": 0, "retrying": 0, "held": 0, "dead": 0}
    assert overview.status(seen) == {
        "read_at": "2026-01-31T08:15:00.250Z",
        "states": {
            "queued": 0,
            "running": 1,
            "retrying": 2,
            "held": 3,
            "acknowledged": 4,
            "not_needed": 5,
            "dead": 6,
        },
        "dead_by_reason": {"rejected": 6},
        "oldest_waiting_s": 5400.0,
        "workers": 2,
        "other_workers": 1,
        "skewed_workers": 0,
        "suspended": True,
        "accounts": {
            "eu": {
                "held": "credentials",
                "cause": "HTTP 401",
                "since": views.instant(AT),
                "by": None,
                "probe_at": views.instant(after(1)),
                "paused_until": None,
                "pause_cause": None,
                "unknown_in_a_row": 0,
                "unserved_since": None,
                "states": {**none, "held": 3, "dead": 6},
                "states_partial": True,
            },
            "us": {
                "held": None,
                "cause": None,
                "since": None,
                "by": None,
                "probe_at": None,
                "paused_until": views.instant(after(2)),
                "pause_cause": "HTTP 429",
                "unknown_in_a_row": 7,
                "unserved_since": None,
                "states": none,
                "states_partial": True,
            },
        },
        "at_risk": [
            {
                "under_h": 0,
                "orders": 3,
                "amounts": {"EUR": 1, "SEK": 6000},
                "amount_unknown": 1,
                "amounts_partial": True,
            }
        ],
        "alarms": [
            {
                "name": "pushes_not_reaching_us",
                "since": "2026-01-31T08:15:00.250Z",
                "meaning": Alarm.PUSHES_NOT_REACHING_US.meaning,
                "action": Alarm.PUSHES_NOT_REACHING_US.action,
            }
        ],
        "refused": [{"account": "eu", "reason": "wrong_token", "pushes": 12}],
        "unreadable": ["a key"],
    }


def test_it_says_null_when_nothing_waits() -> None:
    assert overview.status(an_overview())["oldest_waiting_s"] is None


def test_it_never_lets_an_order_wait_since_the_future() -> None:
    a_clock_ahead = after(1) + timedelta(hours=48)
    assert overview.status(an_overview(oldest_deadline=a_clock_ahead))["oldest_waiting_s"] == 0.0


def test_it_writes_every_time_in_utc() -> None:
    in_stockholm = AT.astimezone(timezone(timedelta(hours=1)))
    assert views.instant(in_stockholm) == "2026-01-31T08:15:00.250Z"


def test_it_writes_plain_words_only() -> None:
    push = Push(KEY, State.DEAD, 3, AT, AT, AT, reason=Reason.REJECTED)
    view = views.full(push, [], after(1))
    assert json.loads(json.dumps(view)) == view
    assert (type(view["state"]), type(view["reason"])) == (str, str)
