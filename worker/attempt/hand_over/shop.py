"""The call that hands an order over, to the URL that its account names.

Signed as Standard Webhooks says (standardwebhooks.com), with our own JSON of the order; or
`forward`: an empty POST such as Klarna's own push, for a shop plugin that does the rest itself.
Redirects are not followed, answers are read up to a cap, and a call ends after 15 s.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid5

from standardwebhooks import Webhook
from urllib3 import PoolManager, Timeout

from klarna import Order
from klarna.calls import one_line
from klarna.deadlines import DEFAULT_TIME_LIMITS, Deadline
from klarna.failures import describe
from klarna.transport import environment_tls
from pushes.accounts.policies import HandOver, Style
from pushes.log import trace
from pushes.model import Entry, Push, PushKey
from pushes.store import keys
from worker.attempt.failures import MerchantFailedError, RefusedByMerchantError
from worker.attempt.hand_over.guard import AddressNotAllowedError, use_pools

# The word for this call in timelines and metrics.
HAND_OVER = "hand_over"

# Ours alone, so that no other program's UUIDv5 of the same name is the same id.
_NAMESPACE = UUID("5b1f2c1e-8f0d-5a44-9a37-3d1c6a0e7f52")

# An answer is two references or a sentence.
_MAX_ANSWER_BYTES = 64 * 1024

# Klarna's own limit of a merchant reference.
_REFERENCE_CHARS = 255

_WORDS_CHARS = 200

_LIMITS = DEFAULT_TIME_LIMITS

# With these a shop says that it does not want the order: somebody has to look at it.
_REFUSALS = frozenset({409, 422})

# Where Klarna puts the order id into a push URL (Klarna docs, "Push"), and our own word for it.
_PLACEHOLDERS = ("{checkout.order.id}", "{order.id}", "{order_id}")


@dataclass(frozen=True, slots=True)
class References:
    """What the shop calls the order, if it says so."""

    merchant_reference1: str | None = None
    merchant_reference2: str | None = None


class MerchantSystem:
    """The merchant's own system. Threads share it, with a connection each."""

    def __init__(self, hand_over: HandOver, *, pool_size: int, user_agent: str) -> None:
        self._url = hand_over.url.get_secret_value()
        self._style = hand_over.style
        self._webhook = Webhook(hand_over.secret.get_secret_value()) if hand_over.secret else None
        self._user_agent = user_agent
        self._manager = PoolManager(
            num_pools=1, maxsize=pool_size, ssl_context=environment_tls(), retries=False
        )
        use_pools(self._manager, allow_private=hand_over.allow_private)

    def hand_over(self, push: Push, order: Order, entries: list[Entry]) -> References:
        """Hand an order over; note the call in `entries`. The shop may get it more than once.

        Every time by the same message id. Raises RefusedByMerchantError when the shop does not
        want it, MerchantFailedError when it gave no sensible answer.
        """
        url, body, headers = self._request(push, order)
        started_s = time.monotonic()
        deadline = Deadline(_LIMITS.total_s)
        try:
            status, answer = self._send(url, body, headers, deadline)
        except Exception as error:  # whatever the layers below raise: no answer came
            text = _words_of(error, time_is_up=deadline.has_passed)
            entries.append(_entry(None, started_s, text))
            raise MerchantFailedError(f"the shop gave no answer: {text}") from error
        if _is_success(status):
            entries.append(_entry(status, started_s, None))
            return _references(answer) if self._style is Style.SIGNED else References()
        words = _words(answer)
        entries.append(_entry(status, started_s, words or None))
        said = f"HTTP {status}: {words}" if words else f"HTTP {status}"
        if self._style is Style.SIGNED and status in _REFUSALS:
            raise RefusedByMerchantError(f"the shop refuses the order, {said}"[:_WORDS_CHARS])
        raise MerchantFailedError(f"the shop answered {said}"[:_WORDS_CHARS])

    def close(self) -> None:
        """Close the idle connections."""
        self._manager.clear()

    def _request(self, push: Push, order: Order) -> tuple[str, bytes, dict[str, str]]:
        key = push.key
        headers = {"User-Agent": self._user_agent, trace.HEADER: trace.header(push)}
        if self._webhook is None:
            url = self._url
            for placeholder in _PLACEHOLDERS:
                url = url.replace(placeholder, key.order_id)
            return url, b"", headers
        at, identity = datetime.now(UTC), message_id(key)
        body = json.dumps(_document(key, order, at), separators=(",", ":"))
        headers |= {
            "Content-Type": "application/json",
            "webhook-id": identity,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._webhook.sign(identity, at, body),
        }
        return self._url, body.encode(), headers

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
                response.release_conn()
            else:
                response.close()
        if deadline.has_passed:  # a connection shut half way may look like a complete answer
            raise TimeoutError
        return response.status, answer if is_whole else b""


def message_id(key: PushKey) -> str:
    """Name the message that hands an order over, the same however often it is sent."""
    return f"msg_{uuid5(_NAMESPACE, f'order:{keys.job_id(key)}')}"


def _document(key: PushKey, order: Order, at: datetime) -> dict[str, object]:
    """Say what we know of an order; amounts are in minor units. Never a person's data."""
    return {
        "type": "order.verified",
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": {
            "account": key.account,
            "order_id": order.order_id,
            "status": order.status,
            "fraud_status": order.fraud_status,
            "order_amount": order.order_amount,
            "purchase_currency": order.purchase_currency,
            "expires_at": order.expires_at.isoformat() if order.expires_at else None,
            "klarna_reference": order.klarna_reference,
            "merchant_reference1": order.merchant_reference1,
            "merchant_reference2": order.merchant_reference2,
        },
    }


def _is_success(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - HTTP's own numbers


def _entry(status: int | None, started_s: float, error: str | None) -> Entry:
    return Entry(
        at=datetime.now(UTC),
        event="call",
        call=HAND_OVER,
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
