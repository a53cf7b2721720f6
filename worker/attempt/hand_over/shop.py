"""The calls that hand an order and its fraud decision over, to the URLs that its account names.

Signed as Standard Webhooks says (standardwebhooks.com), with our own JSON; or `forward`: Klarna's
own push and notification once more, for a shop plugin that does the rest itself.
Redirects are not followed, answers are read up to a cap, and a call ends after 15 s.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from standardwebhooks import Webhook
from urllib3 import PoolManager, Timeout

from klarna import Order
from klarna.calls import one_line
from klarna.deadlines import DEFAULT_TIME_LIMITS, Deadline
from klarna.failures import describe
from klarna.transport import environment_tls
from pushes.accounts.policies import HandOver
from pushes.log import trace
from pushes.model import HAND_OVER, HAND_OVER_DECISION, Entry, Push
from worker.attempt.failures import MerchantFailedError, RefusedByMerchantError
from worker.attempt.hand_over import messages
from worker.attempt.hand_over.guard import AddressNotAllowedError, use_pools

# An answer is two references or a sentence.
_MAX_ANSWER_BYTES = 64 * 1024

# Klarna's own limit of a merchant reference.
_REFERENCE_CHARS = 255

_WORDS_CHARS = 200

_LIMITS = DEFAULT_TIME_LIMITS

_JSON = {"Content-Type": "application/json"}

# With these a shop says that it does not want the order: somebody has to look at it.
_REFUSALS = frozenset({409, 422})


@dataclass(frozen=True, slots=True)
class References:
    """What the shop calls the order, if it says so."""

    merchant_reference1: str | None = None
    merchant_reference2: str | None = None


@dataclass(frozen=True, slots=True)
class _Message:
    """One message, signed or forwarded. `call` and `what` are how it is told of."""

    call: str
    what: str
    url: str
    body: bytes
    headers: dict[str, str]


class MerchantSystem:
    """The merchant's own system. Threads share it, with a connection each."""

    def __init__(self, hand_over: HandOver, *, pool_size: int, user_agent: str) -> None:
        self._url = hand_over.url.get_secret_value()
        self._decision_url = hand_over.fraud_url.get_secret_value() if hand_over.fraud_url else None
        self._webhook = Webhook(hand_over.secret.get_secret_value()) if hand_over.secret else None
        self._user_agent = user_agent
        self._manager = PoolManager(
            num_pools=2, maxsize=pool_size, ssl_context=environment_tls(), retries=False
        )
        use_pools(self._manager, allow_private=hand_over.allow_private)

    @property
    def takes_decisions(self) -> bool:
        """Whether fraud decisions are handed over, too: a plugin may have no address for them."""
        return self._decision_url is not None or self._webhook is not None

    def hand_over(self, push: Push, order: Order, entries: list[Entry]) -> References:
        """Hand an order over; note the call in `entries`. The shop may get it more than once.

        Every time by the same message id. Raises RefusedByMerchantError when the shop does not
        want it, MerchantFailedError when it gave no sensible answer.
        """
        if self._webhook is None:
            url = messages.push_url(self._url, push)
            message = _Message(HAND_OVER, "the order", url, b"", {})
            self._deliver(message, push, entries)
            return References()
        at, identity = datetime.now(UTC), messages.order_message_id(push.key)
        body = messages.order_body(push, order, at)
        headers = _signature(self._webhook, identity, at, body)
        message = _Message(HAND_OVER, "the order", self._url, body, headers)
        return _references(self._deliver(message, push, entries))

    def hand_over_decision(self, push: Push, order: Order, entries: list[Entry]) -> None:
        """Hand over the fraud decision that is due on the record, as `hand_over` does the order."""
        url = self._decision_url or self._url
        if self._webhook is None:
            url = messages.with_order_id(url, push)
            body, headers = messages.notification(push), dict(_JSON)
        else:
            at, identity = datetime.now(UTC), messages.decision_message_id(push)
            body = messages.decision_body(push, order, at)
            headers = _signature(self._webhook, identity, at, body)
        message = _Message(HAND_OVER_DECISION, "the fraud decision", url, body, headers)
        self._deliver(message, push, entries)

    def close(self) -> None:
        """Close the idle connections."""
        self._manager.clear()

    def _deliver(self, message: _Message, push: Push, entries: list[Entry]) -> bytes:
        """Send a message, note the call, return what is answered to it. Raises as `hand_over`."""
        common = {"User-Agent": self._user_agent, trace.HEADER: trace.header(push)}
        started_s = time.monotonic()
        deadline = Deadline(_LIMITS.total_s)
        try:
            status, answer = self._send(
                message.url, message.body, common | message.headers, deadline
            )
        except Exception as error:  # whatever the layers below raise: no answer came
            text = _words_of(error, time_is_up=deadline.has_passed)
            entries.append(_entry(message.call, None, started_s, text))
            raise MerchantFailedError(f"the shop gave no answer: {text}") from error
        if _is_success(status):
            entries.append(_entry(message.call, status, started_s, None))
            return answer
        words = _words(answer)
        entries.append(_entry(message.call, status, started_s, words or None))
        said = f"HTTP {status}: {words}" if words else f"HTTP {status}"
        if self._webhook and status in _REFUSALS:
            text = f"the shop refuses {message.what}, {said}"
            raise RefusedByMerchantError(text[:_WORDS_CHARS])
        raise MerchantFailedError(f"the shop answered {said}"[:_WORDS_CHARS])

    def _send(
        self, url: str, body: bytes, headers: Mapping[str, str], deadline: Deadline
    ) -> tuple[int, bytes]:
        with deadline:
            response = self._manager.urlopen(
                "POST",
                url,
                body=body,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=Timeout(connect=_LIMITS.connect_s, read=_LIMITS.read_s),
            )
            answer = response.read(_MAX_ANSWER_BYTES + 1, decode_content=False)
            is_whole = len(answer) <= _MAX_ANSWER_BYTES
            if is_whole:
                response.read(1)  # raises when less came than was announced
                response.release_conn()
            else:
                response.close()
        if deadline.has_passed:  # a connection shut half way may look like a complete answer
            raise TimeoutError
        return response.status, answer if is_whole else b""


def _signature(webhook: Webhook, identity: str, at: datetime, body: bytes) -> dict[str, str]:
    return {
        **_JSON,
        "webhook-id": identity,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": webhook.sign(identity, at, body.decode()),
    }


def _is_success(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - HTTP's own numbers


def _entry(call: str, status: int | None, started_s: float, error: str | None) -> Entry:
    return Entry(
        at=datetime.now(UTC),
        event="call",
        call=call,
        http_status=status,
        elapsed_ms=round((time.monotonic() - started_s) * 1000),
        detail=error,
    )


def _words_of(error: Exception, *, time_is_up: bool) -> str:
    if isinstance(error, AddressNotAllowedError):
        return str(error)
    return describe(error, time_is_up=time_is_up)


def _references(answer: bytes) -> References:
    """Read the references that a shop may answer; what is none is left out."""
    content = _json(answer)
    found = {
        name: text.strip()
        for name in ("merchant_reference1", "merchant_reference2")
        if isinstance(text := content.get(name), str)
        and 0 < len(text.strip()) <= _REFERENCE_CHARS
        and text.isprintable()
    }
    return References(**found)


def _words(answer: bytes) -> str:
    """Find what a shop says in its refusal, in one line."""
    content = _json(answer)
    for name in ("reason", "detail", "message", "error", "title"):
        if isinstance(text := content.get(name), str) and text.strip():
            return one_line(text, _WORDS_CHARS)
    return one_line(answer.decode(errors="replace"), _WORDS_CHARS)


def _json(answer: bytes) -> dict[str, object]:
    try:
        content = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
