"""Why no answer came: reads the layers of exceptions under a failed call. Pure."""

import errno
import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from typing import Final

import requests
from urllib3.exceptions import ReadTimeoutError
from urllib3.util.ssl_match_hostname import CertificateError

from klarna.calls import Exchange, Operation, one_line
from klarna.errors import (
    KlarnaError,
    LocalError,
    MisconfigurationCause,
    MisconfigurationError,
    TransientError,
)

# What a trace says when DNS knows no such host: it is not Klarna that is away.
HOST_NOT_FOUND = "host name not found"

_TIME_OUTS = (TimeoutError, requests.Timeout, ReadTimeoutError)
_UNTRUSTED = (ssl.SSLCertVerificationError, CertificateError)
_TEXT_CHARS = 200  # a proxy chooses its words itself

# What runs out on this side, and what an operator can do about it.
_EXHAUSTED: Final = {
    errno.EMFILE: "raise this process's limit of open files (LimitNOFILE, ulimit -n)",
    errno.ENFILE: "raise the machine's limit of open files (sysctl fs.file-max)",
    errno.EADDRNOTAVAIL: "widen net.ipv4.ip_local_port_range, or give this machine IPv6",
    errno.ENOBUFS: "give this machine or process more memory",
    errno.ENOMEM: "give this machine or process more memory",
}


def failure_of(
    error: Exception, operation: Operation, elapsed_ms: int, *, time_is_up: bool = False
) -> KlarnaError:
    """Return the error a caller of the client gets for what the network layers raised.

    A certificate nobody vouches for is a fault of the configuration, and what ran out on this
    machine is ours; everything else may pass.
    """
    layers = list(_layers(error))
    exhausted = _exhausted(layers)
    untrusted = any(isinstance(layer, _UNTRUSTED) for layer in layers)
    if exhausted:
        text = exhausted[0]
    else:
        text = "untrusted certificate" if untrusted else _text(layers, time_is_up=time_is_up)
    exchange = Exchange(operation, http_status=None, elapsed_ms=elapsed_ms, error=text)
    if exhausted:
        return LocalError(f"no call: {text}; {exhausted[1]}", exchange=exchange)
    if untrusted:
        return MisconfigurationError(MisconfigurationCause.UNTRUSTED_CERTIFICATE, exchange=exchange)
    return TransientError(f"no answer: {text}", exchange=exchange)


def describe(error: Exception, *, time_is_up: bool = False) -> str:
    """Say in a few words why no answer came, never with a URL."""
    return _text(list(_layers(error)), time_is_up=time_is_up)


def _layers(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what caused it, outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _exhausted(layers: Sequence[BaseException]) -> tuple[str, str] | None:
    """Say what ran out here and what helps; None when nothing did."""
    for layer in layers:
        match layer:
            case MemoryError():
                return "out of memory", _EXHAUSTED[errno.ENOMEM]
            case RuntimeError():  # what Python raises when there can be no more threads
                return one_line(str(layer), _TEXT_CHARS), "raise the limit of threads (TasksMax)"
            case OSError(errno=number) if number in _EXHAUSTED:
                return os.strerror(number).lower(), _EXHAUSTED[number]
    return None


def _text(layers: Sequence[BaseException], *, time_is_up: bool) -> str:
    """Say what happened in a few words, never with a URL: a proxy's may hold a password."""
    if time_is_up or any(isinstance(layer, _TIME_OUTS) for layer in layers):
        return "time-out"
    said = filter(None, map(_words, reversed(layers)))
    spoken = [layer for layer in layers if isinstance(layer, HTTPException)] or layers
    return next(said, f"connection broken off ({type(spoken[-1]).__name__})")


def _words(layer: BaseException) -> str | None:
    match layer:
        case socket.gaierror():
            return HOST_NOT_FOUND
        case ssl.SSLError():
            return f"TLS: {getattr(layer, 'reason', None) or 'broken off'}"
        case ConnectionResetError():  # also http.client's, which carries no number
            return "connection reset"
        case OSError() if layer.errno:
            return os.strerror(layer.errno).lower()
        case OSError() if str(layer).startswith("Tunnel"):
            return one_line(f"proxy: {layer}", _TEXT_CHARS)
    return None
