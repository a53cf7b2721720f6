import pytest

from klarna import PRESETS, resolve_api_url


@pytest.mark.parametrize(
    ("preset", "url"),
    [
        ("klarna-eu", "https://api.klarna.com"),
        ("klarna-na", "https://api-na.klarna.com"),
        ("klarna-oc", "https://api-oc.klarna.com"),
        ("kustom", "https://api.kustom.co"),
    ],
)
def test_it_knows_the_live_regions(preset: str, url: str) -> None:
    api_url = resolve_api_url(preset)
    assert (api_url.url, api_url.is_live, api_url.is_tls) == (url, True, True)
    assert api_url.default_rate_per_s == 200


@pytest.mark.parametrize(
    ("preset", "url"),
    [
        ("klarna-eu-playground", "https://api.playground.klarna.com"),
        ("klarna-na-playground", "https://api-na.playground.klarna.com"),
        ("klarna-oc-playground", "https://api-oc.playground.klarna.com"),
        ("kustom-playground", "https://api.playground.kustom.co"),
    ],
)
def test_it_knows_the_playgrounds(preset: str, url: str) -> None:
    api_url = resolve_api_url(preset)
    assert (api_url.url, api_url.is_live, api_url.is_tls) == (url, False, True)
    assert api_url.default_rate_per_s == 50


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (" Klarna-EU ", "https://api.klarna.com"),
        ("https://api.klarna.com/", "https://api.klarna.com"),
        ("HTTPS://API.Klarna.com:443", "https://api.klarna.com:443"),
    ],
)
def test_it_recognises_a_live_host_however_it_is_written(text: str, url: str) -> None:
    api_url = resolve_api_url(text)
    assert (api_url.url, api_url.is_live) == (url, True)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:8081", "http://127.0.0.1:8081"),
        ("http://[::1]:8081/", "http://[::1]:8081"),
        ("http://klarna.test/Mock//", "http://klarna.test/Mock"),
    ],
)
def test_it_takes_any_url_as_a_playground_without_tls(text: str, url: str) -> None:
    api_url = resolve_api_url(text)
    assert (api_url.url, api_url.is_live, api_url.is_tls) == (url, False, False)
    assert api_url.default_rate_per_s == 50


@pytest.mark.parametrize(
    "text",
    [
        "",
        "klarna",
        "klarna-eu-live",
        "api.klarna.com",
        "ftp://api.klarna.com",
        "https://",
        "https:///orders",
        "https://merchant:hunter2@api.klarna.com",
        "https://api.klarna.com?hunter2",
        "https://api.klarna.com?",
        "https://api.klarna.com#hunter2",
        "https://api.klarna.com:99999",
        "https://api.klarna.com:0",
        "https://api.klarna.com:port",
        "https://[::1",
        "https://api..klarna.com",
        "https://api.kla rna.com",
        "https://api.klarna.com\nX: y",
        "https:\\\\api.klarna.com",
    ],
)
def test_it_refuses_everything_else_and_says_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="not an API URL: allowed are ") as refusal:
        resolve_api_url(text)
    message = str(refusal.value)
    assert all(preset in message for preset in PRESETS)
    assert "hunter2" not in message
