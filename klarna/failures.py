"""Why no answer came: reads the layers of exceptions under a failed call. Pure."""

import os
import socket
import ssl
from collections.abc import Iterator

import requests
from urllib3.exceptions import ReadTimeoutError
from urllib3.util.ssl_match_hostname import CertificateError

from klarna.errors import KlarnaError, MisconfigurationCause, MisconfigurationError, TransientError
from klarna.exchange import Exchange, Operation, one_line

_TIME_OUTS = (TimeoutError, requests.Timeout, ReadTimeoutError)
_UNTRUSTED = (ssl.SSLCertVerificationError, CertificateError)
_TEXT_CHARS = 200  # a proxy chooses its words itself


def failure_of(
    error: Exception, operation: Operation, elapsed_ms: int, *, time_is_up: bool
) -> KlarnaError:
    """Return the error a caller of the client gets for what the network layers raised.

    A certificate nobody vouches for is a fault of the configuration, everything else may pass.
    """
    layers = list(_layers(error))
    untrusted = any(isinstance(layer, _UNTRUSTED) for layer in layers)
    text = "untrusted certificate" if untrusted else _text(layers, time_is_up=time_is_up)
    exchange = Exchange(operation, http_status=None, elapsed_ms=elapsed_ms, error=text)
    if untrusted:
        return MisconfigurationError(MisconfigurationCause.UNTRUSTED_CERTIFICATE, exchange=exchange)
    return TransientError(f"no answer: {text}", exchange=exchange)


def _layers(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what caused it, outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _text(layers: list[BaseException], *, time_is_up: bool) -> str:
    """Say what happened in a few words, never with a URL: a proxy's may hold a password."""
    if time_is_up or any(isinstance(layer, _TIME_OUTS) for layer in layers):
        return "time-out"
    said = filter(None, map(_words, reversed(layers)))
    return next(said, f"connection broken off ({type(layers[-1]).__name__})")


def _words(layer: BaseException) -> str | None:
    match layer:
        case socket.gaierror():
            return "host name not found"
        case ssl.SSLError():
            return f"TLS: {getattr(layer, 'reason', None) or 'broken off'}"
        case ConnectionResetError():  # also http.client's, which carries no number
            return "connection reset"
        case OSError() if layer.errno:
            return os.strerror(layer.errno).lower()
        case OSError() if str(layer).startswith("Tunnel"):
            return one_line(f"proxy: {layer}", _TEXT_CHARS)
    return None
