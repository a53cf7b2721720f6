"""The bytes of a request, and of an answer's head where that is plain. Pure.

Plain is what a server says all day: HTTP/1.1, a final status, clean lines, and one length that
leaves no doubt where the body ends. Refused is everything else; http.client may make sense of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

# Source: RFC 9110, 5.1 and 5.5. No CR, LF or NUL can pass, so a value can start no header.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_TARGET = re.compile(r"[!-~]+")

# Up to the empty line, which http.client counts too: it refuses more than 100. 1xx and 304 are
# left to it. What a quantifier took, it keeps (`++`): no head can make this slow.
_PLAIN = re.compile(
    rb"HTTP/1\.1 ((?!304)[2-9][0-9][0-9])(?: [\t -~\x80-\xff]*+)?\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~\x80-\xff]*+\r\n){0,99}+)"
    rb"\r\n"
)
_LENGTH = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Head:
    """A plain head of `size` bytes; `length` bytes of body follow. Header names are lower-case."""

    status: int
    headers: dict[str, str]
    size: int
    length: int
    is_last: bool  # whether the server will close the connection


def request_bytes(
    method: str, target: str, headers: Mapping[str, str], body: bytes | None = None
) -> bytes:
    """Return a request as it is sent; ValueError unless each part can stand where it does.

    The caller states the Content-Length of a body, and it has to be true: a server that counted
    on a wrong one would take the rest of this request for the next one.
    """
    body = body or b""
    if not _NAME.fullmatch(method) or not _TARGET.fullmatch(target):
        raise ValueError("not the method and target of an HTTP request")
    if headers.get("Content-Length", "0") != str(len(body)) or "Transfer-Encoding" in headers:
        raise ValueError("the Content-Length does not tell the length of the body")
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError("no HTTP header can carry this name or value")
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def plain_head(received: bytes) -> Head | None:
    """Read the head that `received` begins with; None when it is not all there, or not plain."""
    match = _PLAIN.match(received)
    if not match:
        return None
    headers: dict[str, str] = {}
    for line in match[2].decode("latin-1").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    status = int(match[1])
    length = "0" if status == HTTPStatus.NO_CONTENT else ""
    length = headers.get("content-length", length)
    if "transfer-encoding" in headers or not _LENGTH.fullmatch(length):  # "3, 3" is no length
        return None
    if status == HTTPStatus.NO_CONTENT and int(length):
        return None
    is_last = "close" in headers.get("connection", "").lower()
    return Head(status, headers, match.end(), int(length), is_last)
