import errno
import socket
import ssl
from http.client import BadStatusLine

import pytest
import requests
from requests.exceptions import ChunkedEncodingError, ProxyError, SSLError

import klarna
from klarna import (
    Exchange,
    KlarnaError,
    LocalError,
    MisconfigurationCause,
    MisconfigurationError,
    Operation,
    RateLimitedError,
    TransientError,
)
from klarna.failures import failure_of


def children(cls: type[Exception]) -> set[str]:
    return {child.__name__ for child in cls.__subclasses__()}


def test_it_is_the_tree_of_the_docstring() -> None:
    assert children(klarna.KlarnaError) == {
        "TransientError",
        "RateLimitedError",
        "LocalError",
        "MisconfigurationError",
        "PermanentError",
    }
    assert children(klarna.PermanentError) == {
        "NoSuchOrderError",
        "NotAllowedError",
        "RejectedError",
    }


@pytest.mark.parametrize("cause", MisconfigurationCause)
def test_it_tells_an_operator_the_likely_cause(cause: MisconfigurationCause) -> None:
    error = MisconfigurationError(cause)
    assert str(error) == cause.sentence
    assert cause.sentence.endswith(".")
    assert len(cause.sentence) <= 200  # a dead letter or a log line shows it whole


@pytest.mark.parametrize(
    ("pause_s", "message"),
    [(None, "Klarna asks for a pause (429)"), (2.5, "Klarna asks for a pause of 2.5 s (429)")],
)
def test_it_names_the_pause(pause_s: float | None, message: str) -> None:
    error = RateLimitedError(pause_s)
    assert (str(error), error.retry_after_s, error.exchange) == (message, pause_s, None)


def raised(error: Exception, cause: Exception) -> Exception:
    """The error as it looks when it was raised while the other was handled."""
    error.__context__ = cause
    return error


UNTRUSTED = ssl.SSLCertVerificationError(1, "certificate verify failed")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError(), "time-out"),
        (requests.ConnectTimeout(), "time-out"),
        (requests.ReadTimeout(), "time-out"),
        (raised(requests.ConnectionError(), TimeoutError()), "time-out"),
        (raised(requests.ConnectionError(), socket.gaierror(-2, "?")), "host name not found"),
        (raised(requests.ConnectionError(), ConnectionResetError()), "connection reset"),
        (ConnectionRefusedError(111, "Connection refused"), "connection refused"),
        (raised(SSLError(), ssl.SSLError(1, "?")), "TLS: broken off"),
        (
            raised(ProxyError(), OSError("Tunnel connection failed: 407 Hm")),
            "proxy: Tunnel connection failed: 407 Hm",
        ),
        (
            ChunkedEncodingError(),
            "connection broken off (ChunkedEncodingError)",
        ),
        (
            raised(requests.ConnectionError(), BadStatusLine("SSH")),
            "connection broken off (BadStatusLine)",
        ),
        (AttributeError(), "connection broken off (AttributeError)"),
    ],
)
def test_it_says_in_a_few_words_why_no_answer_came(error: Exception, text: str) -> None:
    failure = failure_of(error, Operation.GET_ORDER, 7, time_is_up=False)
    assert type(failure) is TransientError
    assert str(failure) == f"no answer: {text}"
    assert failure.exchange == Exchange(Operation.GET_ORDER, None, 7, error=text)


@pytest.mark.parametrize(
    ("error", "text", "remedy"),
    [
        (OSError(errno.EMFILE, "?"), "too many open files", "LimitNOFILE"),
        (OSError(errno.ENFILE, "?"), "too many open files in system", "fs.file-max"),
        (OSError(errno.ENOMEM, "?"), "cannot allocate memory", "more memory"),
        (OSError(errno.EADDRNOTAVAIL, "?"), "cannot assign requested address", "port_range"),
        (MemoryError(), "out of memory", "more memory"),
        (RuntimeError("can't start new thread"), "can't start new thread", "TasksMax"),
    ],
)
@pytest.mark.parametrize("time_is_up", [False, True])
def test_it_tells_what_ran_out_here_from_what_klarna_did(
    error: Exception, text: str, remedy: str, *, time_is_up: bool
) -> None:
    outer = raised(requests.ConnectionError(), error)
    failure = failure_of(outer, Operation.GET_ORDER, 7, time_is_up=time_is_up)
    assert type(failure) is LocalError
    assert str(failure).startswith(f"no call: {text}; ")
    assert remedy in str(failure)
    assert failure.exchange == Exchange(Operation.GET_ORDER, None, 7, error=text)


def test_it_calls_a_cut_connection_a_time_out_when_the_time_is_up() -> None:
    failure = failure_of(ConnectionResetError(), Operation.ACKNOWLEDGE, 7, time_is_up=True)
    assert str(failure) == "no answer: time-out"


def test_it_blames_the_configuration_for_an_untrusted_certificate() -> None:
    error = raised(SSLError(), UNTRUSTED)
    failure: KlarnaError = failure_of(error, Operation.GET_ORDER, 7, time_is_up=False)
    assert isinstance(failure, MisconfigurationError)
    assert failure.cause is MisconfigurationCause.UNTRUSTED_CERTIFICATE
    assert failure.exchange == Exchange(Operation.GET_ORDER, None, 7, error="untrusted certificate")
