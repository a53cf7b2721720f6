"""Sends one push as Klarna does: POST, empty body, unsigned, no redirects. Keeps nothing."""

import http.client
from urllib.parse import urlsplit

# Klarna's push client has been seen giving up after about 5 s (code).
TIMEOUT_S = 5
_PLACEHOLDERS = ("{checkout.order.id}", "{order.id}")


def push_url(template: str, order_id: str) -> str:
    """Put the order id where Klarna puts it: both placeholders (doc)."""
    for placeholder in _PLACEHOLDERS:
        template = template.replace(placeholder, order_id)
    return template


def post(url: str) -> int | None:
    """Send one push; the status it was answered with, None when none came within 5 s."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    target = parts._replace(scheme="", netloc="", fragment="", path=parts.path or "/").geturl()
    try:
        connection.request("POST", target, headers={"User-Agent": "klarna-sandbox"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException, UnicodeError):
        return None  # UnicodeError: a host name that cannot be one
    finally:
        connection.close()
