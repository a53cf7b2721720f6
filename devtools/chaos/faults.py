"""How Klarna fails: every way the sandbox knows, at odds that let most orders pass in the end."""

from dataclasses import dataclass, field
from typing import Any

from devtools.local.sandbox_control import FaultBody, SandboxControl

# Longer than a client waits for a byte (10 s): its own time-out has to end the call.
_PAST_TIME_OUT_S = 12
# Shorter: Klarna hangs up in the middle of the wait, or answers after all.
_HANG_UP_S = 1.5
# Twelve hundred bytes of an order then take a second or two.
_DRIP_S = 0.001
# More than an answer may have; the default of 32 MiB costs a small machine too much.
_HUGE_BYTES = 9 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RandomFault:
    """One fault of the sandbox and how often it strikes: at odds, or so many times and no more."""

    name: str
    odds: float = 1
    times: int | None = None
    operation: str = "any"
    params: dict[str, Any] = field(default_factory=dict)


# Nobody knows whether the call took effect, or it surely did not: tried again.
PASSING = (
    *[RandomFault("status", 0.01, params={"status": status}) for status in (409, 500, 502, 503)],
    RandomFault("status", 0.01, operation="acknowledge", params={"status": 504, "effect": True}),
    RandomFault("no_error_code", 0.01),
    RandomFault("rate_limited", 0.02),
    RandomFault("no_such_order", 0.01),
    RandomFault("empty_404", 0.01),
    RandomFault("not_json_200", 0.01),
    RandomFault("truncated_json", 0.01),
    RandomFault("short_body", 0.01),
    RandomFault("huge_body", 0.002, params={"size_bytes": _HUGE_BYTES}),
    RandomFault("slow", 0.01, params={"delay_s": _HANG_UP_S}),
    RandomFault("drip", 0.01, params={"byte_interval_s": _DRIP_S}),
    RandomFault("drip_headers", 0.01, params={"byte_interval_s": _DRIP_S}),
    RandomFault("reset_before_effect", 0.02),
    RandomFault("reset_after_effect", 0.02),
    RandomFault("timeout_before_effect", 0.01, params={"hold_s": _HANG_UP_S}),
    RandomFault("timeout_after_effect", 0.01, params={"hold_s": _HANG_UP_S}),
    RandomFault("timeout_after_effect", times=1, params={"hold_s": _PAST_TIME_OUT_S}),
)

# Klarna is wrong about an order: it is dead until an operator replays it.
FINAL = (
    RandomFault("status", 0.003, params={"status": 400}),
    RandomFault("not_allowed", 0.003, operation="acknowledge"),
    RandomFault("wrong_order_id", 0.003, operation="get_order"),
)

# Looks like a wrong configuration: the account is held until it is resumed.
HOLDING = (
    RandomFault("unauthorized_html", times=2),
    RandomFault("forbidden_html", times=2),
    RandomFault("redirect", times=2),
    RandomFault("html_404", times=2),
)


def add(sandbox: SandboxControl, faults: tuple[RandomFault, ...]) -> None:
    """Put faults in force, behind those that are."""
    for fault in faults:
        body: FaultBody = {"operation": fault.operation, "probability": fault.odds}
        body["params"] = fault.params
        if fault.times is not None:
            body["times"] = fault.times
        sandbox.add_fault(fault.name, **body)
