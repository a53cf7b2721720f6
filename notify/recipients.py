"""Whom messages go to: the URLs of NOTIFY_URLS, checked before anybody sends.

A URL holds a password or is one, so a recipient is shown by its number and its service alone.
"""

import logging
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.util import find_spec

# So much of a digest tells the recipients of one deployment apart, and tells nothing of a URL.
_KEY_LENGTH = 12

INSTALL = "pip install 'klarna-ack[notify]'"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One of them: its number in the list from 1 on, and its service as apprise calls it."""

    number: int
    service: str
    url: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.number} ({self.service})"

    @property
    def key(self) -> str:
        """Tell it from others in Redis, wherever it stands in the list."""
        return sha256(self.url.encode()).hexdigest()[:_KEY_LENGTH]


def parse(text: str) -> tuple[Recipient, ...]:
    """Read URLs of apprise, with white space between them. Raises ValueError, without a URL."""
    if find_spec("apprise") is None:
        raise ValueError(f"it needs the package apprise, which is not installed: {INSTALL}")
    urls = text.split()
    services = [_service(url) for url in urls]
    unusable = [str(number) for number, service in enumerate(services, 1) if service is None]
    if unusable:
        raise ValueError(
            f"no service can be made of entry {', '.join(unusable)} of {len(urls)}; it must be a"
            " URL that apprise knows, such as slack://…, and what stands between two is a space"
        )
    if len(set(urls)) < len(urls):
        raise ValueError("a URL stands in it twice; take one of them away")
    return tuple(
        Recipient(number, service, url)
        for number, (service, url) in enumerate(zip(services, urls, strict=True), 1)
        if service is not None
    )


def _service(url: str) -> str | None:
    """Name the service of a URL; None when apprise can make none of it."""
    from apprise import Apprise  # noqa: PLC0415 - an extra, and slow to import

    logging.getLogger("apprise").disabled = True  # what it says of a URL shows the URL
    found = Apprise.instantiate(url, suppress_exceptions=True)
    return None if found is None else str(found.service_name)
