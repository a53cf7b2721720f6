"""Where Klarna's Order Management API is: presets for its regions, and URLs for everything else."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

# Source: Klarna docs, "API URLs", and Kustom docs (the former Klarna Checkout, same paths).
PRESETS: Final = {
    "klarna-eu": "https://api.klarna.com",
    "klarna-na": "https://api-na.klarna.com",
    "klarna-oc": "https://api-oc.klarna.com",
    "kustom": "https://api.kustom.co",
    "klarna-eu-playground": "https://api.playground.klarna.com",
    "klarna-na-playground": "https://api-na.playground.klarna.com",
    "klarna-oc-playground": "https://api-oc.playground.klarna.com",
    "kustom-playground": "https://api.playground.kustom.co",
}
_LIVE_HOSTS = frozenset(
    urlsplit(url).hostname for name, url in PRESETS.items() if not name.endswith("-playground")
)

# Source: Klarna docs, "Rate limiting": requests per second and merchant.
_LIVE_RATE_PER_S = 200
_PLAYGROUND_RATE_PER_S = 50

_ALLOWED = (
    f"allowed are {', '.join(PRESETS)}, or an http(s) URL"
    " without user name, password, query and fragment"
)


@dataclass(frozen=True, slots=True)
class ApiUrl:
    """The base of every call's URL, without a trailing slash."""

    url: str

    @property
    def is_tls(self) -> bool:
        """Whether credentials travel encrypted."""
        return self.url.startswith("https:")

    @property
    def is_live(self) -> bool:
        """Whether real orders are here; a URL nobody knows counts as a playground."""
        return urlsplit(self.url).hostname in _LIVE_HOSTS

    @property
    def default_rate_per_s(self) -> int:
        """The quota Klarna grants one merchant here, requests per second."""
        return _LIVE_RATE_PER_S if self.is_live else _PLAYGROUND_RATE_PER_S


def resolve_api_url(text: str) -> ApiUrl:
    """Turn a preset's name or a URL into the API's base URL.

    ValueError says what is allowed and never repeats `text`: there may be a password in it.
    """
    text = text.strip()
    if preset := PRESETS.get(text.lower()):
        return ApiUrl(preset)
    if " " in text or not text.isprintable() or any(mark in text for mark in "@?#\\"):
        raise ValueError(f"not an API URL: {_ALLOWED}")
    try:
        parts = urlsplit(text)
        complete = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        (parts.hostname or "").encode("idna")  # refuses what no name server could know
    except ValueError as error:
        raise ValueError(f"not an API URL: {_ALLOWED}") from error
    if not complete:
        raise ValueError(f"not an API URL: {_ALLOWED}")
    return ApiUrl(f"{parts.scheme}://{parts.netloc.lower()}{parts.path}".rstrip("/"))
