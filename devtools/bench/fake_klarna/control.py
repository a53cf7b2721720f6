"""The fake Klarna as seen by the bench: started, steered and asked what it counted."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from devtools.local.loopback import loopback_session
from devtools.local.processes import LoggedProcess

_ANSWER_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class CallCounts:
    """What the fake Klarna counted so far; `at` is CLOCK_MONOTONIC, shared by all processes."""

    at: float
    gets: int
    acknowledged: int
    held_s: float

    @property
    def calls(self) -> int:
        """All calls, each order acknowledged once."""
        return self.gets + self.acknowledged

    def rate_since(self, earlier: "CallCounts") -> float:
        """Return the acknowledgements a second since an earlier look."""
        return (self.acknowledged - earlier.acknowledged) / (self.at - earlier.at)

    def calls_per_s_since(self, earlier: "CallCounts") -> float:
        """Return the calls a second since an earlier look."""
        return (self.calls - earlier.calls) / (self.at - earlier.at)


class BenchKlarna:
    """`with BenchKlarna(log) as klarna`: a process of its own, gone at the end."""

    def __init__(self, log: Path) -> None:
        command = [sys.executable, "-m", "devtools.bench.fake_klarna"]
        self._process = LoggedProcess("fake Klarna", command, {}, log, grace_s=1)
        self._session = loopback_session()

    @property
    def url(self) -> str:
        """What to set as KLARNA_API_URL."""
        return self._url

    def hold_calls(self, latency_ms: float) -> None:
        """Answer each call this much later than it came, from now on."""
        self._ask("POST", f"latency/{latency_ms}")

    def forget(self) -> None:
        """Begin to count anew."""
        self._ask("POST", "forget")

    def counts(self) -> CallCounts:
        """Return what was counted so far."""
        return CallCounts(**self._ask("GET", "counts"))

    def acknowledged(self) -> dict[str, float]:
        """Return when each order was acknowledged for the first time."""
        return self._ask("GET", "acknowledged")

    def __enter__(self) -> Self:
        try:
            port = self._process.wait_for_line(r"^listening port=(\d+)$")[1]
        except BaseException:
            self._process.kill9()
            raise
        self._url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()
        self._process.kill9()

    def _ask(self, method: str, what: str) -> dict[str, Any]:
        answer = self._session.request(
            method, f"{self._url}/bench/{what}", timeout=_ANSWER_TIMEOUT_S
        )
        body: dict[str, Any] = answer.json()
        return body
