"""TLS is always verified, and a certificate nobody vouches for is the operator's business."""

import ssl
from pathlib import Path

import pytest

from klarna import MisconfigurationCause, MisconfigurationError, TimeLimits, TransientError
from tests.raw_http import (
    CERTIFICATE,
    LONG_S,
    ORDER_ID,
    RawLine,
    RawServer,
    Recorder,
    client_of,
    no_answer,
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    bundle = tmp_path / "certificate.pem"
    bundle.write_text(CERTIFICATE)
    return bundle


@pytest.fixture
def tls(bundle: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle)
    return context


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_it_trusts_the_bundle_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, bundle: Path, tls: ssl.SSLContext, variable: str
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, str(bundle))
    with Recorder(tls=tls) as server, client_of(server) as client:
        assert client.get_order(ORDER_ID).order_id == ORDER_ID
        assert client.get_order(ORDER_ID).order_id == ORDER_ID
        assert server.connections == 1


def assert_untrusted(server: RawServer, host: str) -> None:
    with (
        client_of(f"https://{host}:{server.port}") as client,
        pytest.raises(MisconfigurationError) as caught,
    ):
        client.get_order(ORDER_ID)
    assert caught.value.cause is MisconfigurationCause.UNTRUSTED_CERTIFICATE
    assert server.requests == []


def test_it_refuses_a_certificate_nobody_vouches_for(
    monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with Recorder(tls=tls) as server:
        assert_untrusted(server, "127.0.0.1")


def test_it_refuses_a_certificate_of_another_host(
    monkeypatch: pytest.MonkeyPatch, bundle: Path, tls: ssl.SSLContext
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with Recorder(tls=tls) as server:
        assert_untrusted(server, "localhost")


def test_it_may_try_again_where_there_is_no_tls() -> None:
    def speak_plainly(line: RawLine) -> None:
        line.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        line.request()

    with (
        RawServer(speak_plainly) as server,
        client_of(f"https://127.0.0.1:{server.port}") as client,
        pytest.raises(TransientError, match="no answer: TLS: "),
    ):
        client.get_order(ORDER_ID)


def test_it_ends_a_handshake_that_never_does() -> None:
    limits = TimeLimits(connect_s=0.2, read_s=LONG_S, total_s=LONG_S)
    with (
        RawServer(lambda line: line.drip(b"\x16\x03\x01\x02\x00")) as server,
        client_of(f"https://127.0.0.1:{server.port}", limits) as client,
    ):
        assert no_answer(client) == "time-out"


@pytest.mark.parametrize("framing", [b"Content-Length: 9999", b"Connection: close"])
def test_it_ends_a_slow_answer(
    monkeypatch: pytest.MonkeyPatch, bundle: Path, tls: ssl.SSLContext, framing: bytes
) -> None:
    def drip_the_body(line: RawLine) -> None:
        line.request()
        line.say(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        line.drip(b"{")

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    limits = TimeLimits(connect_s=LONG_S, read_s=LONG_S, total_s=0.5)
    with RawServer(drip_the_body, tls) as server, client_of(server, limits) as client:
        assert no_answer(client) == "time-out"
