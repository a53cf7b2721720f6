"""What runs under `klarna-ack dev`: the processes, and how they are spoken to."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from devtools.local.demo.child import Child

TICK_S = 0.05
_CALL_TIMEOUT_S = 10


@dataclass
class Stack:
    """What runs; `env` is the environment of web and worker."""

    children: list[Child]
    env: Mapping[str, str]
    web_url: str
    sandbox_url: str
    verbose: bool

    @property
    def push_url(self) -> str:
        """What a merchant would give to Klarna, the order id's place at its end."""
        return f"{self.web_url}/push?klarna_order_id="

    def tick(self) -> None:
        """Wait a moment; raises DevError when one of the processes has ended meanwhile."""
        time.sleep(TICK_S)
        for child in self.children:
            if self.verbose:
                child.show_new_lines()
            child.check()

    def control(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Call the sandbox's control side."""
        return call(method, f"{self.sandbox_url}/_control/{path}", body).json()

    def logs(self) -> str:
        """Return the last lines of every process."""
        return "\n".join(child.last_lines() for child in self.children)


def call(method: str, url: str, body: object = None) -> requests.Response:
    """Send one request to a process of ours. Raises requests' errors, also for a refusal."""
    with requests.Session() as session:
        session.trust_env = False  # No proxy stands between us and loopback.
        answer = session.request(method, url, json=body, timeout=_CALL_TIMEOUT_S)
    answer.raise_for_status()
    return answer
