"""One HTTP call, from the request to the last byte of its answer, within its time limits."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import requests
from requests.structures import CaseInsensitiveDict
from urllib3 import Timeout
from urllib3.exceptions import HTTPError

from klarna.adapter import OneHostAdapter
from klarna.answers import MAX_BODY_BYTES, Answer
from klarna.deadlines import Deadline, Deadlines, TimeLimits
from klarna.exchange import Operation
from klarna.failures import failure_of


@dataclass(frozen=True, slots=True)
class Call:
    """One request to make, without what all calls of a client have in common."""

    operation: Operation
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport:
    """Sends requests to one base URL; safe for many threads, with one connection for each."""

    def __init__(
        self, url: str, headers: Mapping[str, str], *, pool_size: int, limits: TimeLimits
    ) -> None:
        template = requests.Request("GET", url, headers=dict(headers)).prepare()
        self._url = str(template.url).rstrip("/")  # as requests normalised it
        self._headers = dict(template.headers)
        self._timeout = Timeout(connect=limits.connect_s, read=limits.read_s)
        self._adapter = OneHostAdapter(url, pool_size)
        self._deadlines = Deadlines(limits.total_s)

    def send(self, call: Call) -> Answer:
        """Send one request and read its answer, up to the cap and within the time limits.

        Raises TransientError or ConfigurationError, with the exchange, when no answer came.
        """
        request = requests.PreparedRequest()
        request.method = call.method
        request.url = self._url + call.path
        request.headers = CaseInsensitiveDict({**self._headers, **call.headers})
        started_s = time.monotonic()
        with self._deadlines.limit() as deadline:
            try:
                response, body = self._exchange(request, deadline)
            except (OSError, HTTPError) as error:  # requests' errors are all OSErrors
                elapsed_ms = _ms_since(started_s)
                raise failure_of(
                    error, call.operation, elapsed_ms, time_is_up=deadline.has_passed
                ) from error
        return Answer(
            operation=call.operation,
            status=response.status_code,
            headers=response.headers,
            body=body,
            elapsed_ms=_ms_since(started_s),
            received_at=datetime.now(UTC),
        )

    def _exchange(
        self, request: requests.PreparedRequest, deadline: Deadline
    ) -> tuple[requests.Response, bytes]:
        timeout = cast(tuple[float, float], self._timeout)  # a Timeout it takes as well
        with self._adapter.send(request, stream=True, timeout=timeout) as response:
            body = response.raw.read(MAX_BODY_BYTES + 1)
        if deadline.has_passed:  # a connection shut half way may look like a complete answer
            raise TimeoutError
        return response, body

    def close(self) -> None:
        """Close the idle connections and stop the watching thread; calls under way may fail."""
        self._adapter.close()
        self._deadlines.close()


def _ms_since(started_s: float) -> int:
    return round((time.monotonic() - started_s) * 1000)
