"""An answer of Klarna as it came, and what can be read out of any of them. Pure.

Life is messier than the contract: bodies are HTML, empty, truncated or no UTF-8; `error_code` may
be missing and `error_messages` may be a singular `error_message`. Nothing here raises.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from klarna.exchange import Exchange, Operation, one_line

# Orders seen are under 10 kB; one with thousands of lines stays far below this.
MAX_BODY_BYTES: Final = 8 * 1024 * 1024

_CORRELATION_ID_CHARS = 64  # a UUID is 36; Klarna's own samples are sometimes cut
_ERROR_CODE_CHARS = 64  # the longest documented one has 23
_ERROR_CHARS = 200  # enough to recognise the message; it may quote what we sent


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer; `headers` look names up without regard to case.

    `body` may be one byte longer than `MAX_BODY_BYTES`: then there was more, and nobody read it.
    """

    operation: Operation
    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed_ms: int
    received_at: datetime

    @property
    def is_empty(self) -> bool:
        """Whether there is no body, or nothing in it."""
        return not self.body.strip()

    @property
    def speaks_json(self) -> bool:
        """Tell an API's answer from a web server's page, by the first byte.

        Not by Content-Type, which may be missing, nor by whether it parses: a truncated error is
        still an API's error.
        """
        return self.body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in {b"{", b"["}


def document_of(answer: Answer) -> dict[str, object] | None:
    """Return the JSON object in the body, None when there is none we can read."""
    if len(answer.body) > MAX_BODY_BYTES:
        return None
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return None
    return document if isinstance(document, dict) else None


def exchange_of(answer: Answer, document: dict[str, object]) -> Exchange:
    """Return the trace of the call; the header's correlation id wins over the body's."""
    correlation_id = answer.headers.get("Klarna-Correlation-Id") or document.get("correlation_id")
    return Exchange(
        operation=answer.operation,
        http_status=answer.status,
        elapsed_ms=answer.elapsed_ms,
        error_code=_line(document.get("error_code"), _ERROR_CODE_CHARS),
        correlation_id=_line(correlation_id, _CORRELATION_ID_CHARS),
    )


def messages_of(document: dict[str, object]) -> str:
    """Return Klarna's messages as one text; the field is plural, singular, or missing."""
    messages = document.get("error_messages") or document.get("error_message")
    listed = messages if isinstance(messages, list) else [messages]
    text = "; ".join(message for message in listed if isinstance(message, str))
    return one_line(text, _ERROR_CHARS)


def _line(value: object, limit: int) -> str | None:
    return one_line(value, limit) if isinstance(value, str) and value else None
