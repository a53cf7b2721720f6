"""The metrics of what is done: attempts, the calls they make, and requests to the web processes."""

from collections.abc import Iterator

from prometheus_client.core import Metric

from pushes.model import State
from pushes.store.counted.totals import CALLS, REQUESTS, Distribution, Spent, Total, Totals
from service.metrics.families import counters, histogram

# What an attempt may end in besides a state: its worker died.
CRASHED = "crashed"

_OUTCOMES = (
    *(state for state in State if state not in {State.QUEUED, State.RUNNING}),
    CRASHED,
)

# There from the start, so that the first push that was not stored is an increase.
_PUSHES = (("intake.take", "200"), ("intake.take", "503"))


def families(counted: Totals) -> Iterator[Metric]:
    """Yield the metrics of what is done."""
    yield counters(
        "klarna_ack_attempts",
        "Attempts that ended, by the state that followed; `crashed`: the worker died.",
        "outcome",
        {**dict.fromkeys(_OUTCOMES, 0), **counted.counts.get(Total.ATTEMPTS, {})},
    )
    yield counters(
        "klarna_ack_retries",
        "Attempts after which another was planned, by what was spent on it.",
        "spent",
        {**dict.fromkeys(Spent, 0), **counted.counts.get(Total.RETRIES, {})},
    )
    yield histogram(
        "klarna_ack_call_duration_seconds",
        "Calls that attempts made, by the class of the answer; `none`: there was no answer.",
        ("call", "answer"),
        CALLS,
        counted.calls,
    )
    yield histogram(
        "klarna_ack_http_request_duration_seconds",
        "Requests that the web processes answered, but for probes.",
        ("endpoint", "status"),
        REQUESTS,
        {**{taken: Distribution() for taken in _PUSHES}, **counted.requests},
    )
