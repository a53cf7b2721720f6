"""The fake Klarna as seen by the bench: started, steered and asked what it counted."""

import http.client
import json
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from devtools.local.supervised import Supervised

ROOT = Path(__file__).parents[2]
_START_TIMEOUT_S = 20.0
_ANSWER_TIMEOUT_S = 10.0
_POLL_S = 0.02


class BenchError(Exception):
    """A measurement could not be made; the message says why and what to look at."""


@dataclass(frozen=True, slots=True)
class CallCounts:
    """What the fake Klarna counted so far; `at` is CLOCK_MONOTONIC, shared by all processes."""

    at: float
    gets: int
    acknowledged: int
    held_s: float

    def rate_since(self, earlier: "CallCounts") -> float:
        """Return the acknowledgements a second since an earlier look."""
        return (self.acknowledged - earlier.acknowledged) / (self.at - earlier.at)


class BenchKlarna:
    """`with FakeKlarna(directory) as klarna`: a process of its own, gone at the end."""

    def __init__(self, directory: Path) -> None:
        self._log = directory / "fake-klarna.log"
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "devtools.bench.fake_klarna"]
            self._process = Supervised(command, log=log, cwd=ROOT, grace_s=1)
        self._port = self._find_port()

    @property
    def url(self) -> str:
        """What to set as KLARNA_API_URL."""
        return f"http://127.0.0.1:{self._port}"

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
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill9()

    def _find_port(self) -> int:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.exit_code is None:
            if found := re.search(r"^listening port=(\d+)$", self._log.read_text(), re.MULTILINE):
                return int(found[1])
            time.sleep(_POLL_S)
        self._process.kill9()
        raise BenchError(f"the fake Klarna does not listen:\n{self._log.read_text()}")

    def _ask(self, method: str, what: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_TIMEOUT_S)
        try:
            connection.request(method, f"/bench/{what}")
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer
