"""What is sent of a URL, and under which name the host is called."""

import pytest
import requests

from klarna.adapter import OneHostAdapter


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.klarna.com", "api.klarna.com"),
        ("https://api.klarna.com:443", "api.klarna.com"),
        ("https://api.klarna.com:80", "api.klarna.com:80"),
        ("http://API.klarna.com:80/base", "api.klarna.com"),
        ("http://klarna.test.:8080", "klarna.test:8080"),
        ("http://müller.test", "xn--mller-kva.test"),
        ("http://[::1]", "[::1]"),
        ("http://[fe80::1%25lo]:8080", "[fe80::1]:8080"),
    ],
)
def test_it_names_the_host_as_others_do(url: str, host: str) -> None:
    assert OneHostAdapter(url, 1).get_connection_with_tls_context().host_header == host


@pytest.mark.parametrize(
    ("variable", "proxy", "url", "sent"),
    [
        ("http_proxy", None, "http://klarna.test", "/orders/1"),
        ("http_proxy", None, "http://klarna.test/base", "/base/orders/1"),
        ("http_proxy", "http://p.test", "http://klarna.test", "http://klarna.test/orders/1"),
        ("https_proxy", "http://p.test", "https://klarna.test", "/orders/1"),
        ("https_proxy", "https://p.test", "https://klarna.test/base", "/base/orders/1"),
    ],
)
def test_it_sends_the_whole_url_to_who_forwards(
    monkeypatch: pytest.MonkeyPatch, variable: str, proxy: str | None, url: str, sent: str
) -> None:
    if proxy:
        monkeypatch.setenv(variable, proxy)
    adapter = OneHostAdapter(url, 1)
    request = requests.Request("GET", f"{url}/orders/1").prepare()
    assert adapter.request_url(request, {}) == sent
