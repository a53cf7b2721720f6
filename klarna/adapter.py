"""Requests' adapter for one host: what it would ask anew for each request is settled once here.

There is no `requests.Session` on purpose: following redirects, storing cookies, re-reading the
environment and `.netrc` for each call are all done by the Session. The adapter below it sends
exactly one request and nothing else. ADR 17 lists what is overridden, and why.
"""

import os
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3 import PoolManager
from urllib3.connection import port_by_scheme

from klarna.pools import SendingPool, sending


class OneHostAdapter(HTTPAdapter):
    """Sends to the host of `url`, with the CA bundle and the proxy that the environment names."""

    def __init__(self, url: str, pool_size: int) -> None:
        super().__init__(pool_connections=1, pool_maxsize=pool_size, max_retries=0)
        _use_sending_pools(self.poolmanager)
        probe = requests.Request("GET", url).prepare()
        verify, proxies = _ca_bundle(), get_environ_proxies(url)
        pool = super().get_connection_with_tls_context(probe, verify, proxies)
        super().cert_verify(pool, url, verify, None)  # type: ignore[no-untyped-call]  # its stub is bare
        self._pool = cast(SendingPool, pool)
        self._pool.host_header = _host_header(str(probe.url))
        # To a proxy that forwards, the whole URL is sent; to all others, only its path.
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(str(probe.url)))
        self._unsent = 0 if super().request_url(probe, proxies) == probe.url else len(origin)

    def proxy_manager_for(self, proxy: str, **options: object) -> PoolManager:
        """Make pools that send by themselves, through a proxy too."""
        manager = cast(PoolManager, super().proxy_manager_for(proxy, **options))
        _use_sending_pools(manager)
        return manager

    def get_connection_with_tls_context(self, *_args: object, **_options: object) -> SendingPool:
        """Return the one pool: building urllib3's pool key for each call costs more than JSON."""
        return self._pool

    def cert_verify(self, *_args: object) -> None:
        """Leave the pool as it is: it was told its CA bundle when it was made."""

    def request_url(self, request: requests.PreparedRequest, _proxies: object) -> str:
        """Return what is sent of the URL."""
        return str(request.url)[self._unsent :]

    def close(self) -> None:
        """Close the idle connections; urllib3 itself leaves that to the garbage collector."""
        super().close()
        self._pool.close()


def _use_sending_pools(manager: PoolManager) -> None:
    classes = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {name: sending(one) for name, one in classes.items()}


def _ca_bundle() -> str | bool:
    """Return the CA bundle the environment names, as requests would; True means certifi's."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if bundle and not Path(bundle).exists():
        raise ValueError("REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names no existing file or directory")
    return bundle or True


def _host_header(url: str) -> str:
    """Return the name of the host as others know it: no usual port, no final dot, no zone."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if ":" in host:
        host = f"[{host.partition('%')[0]}]"
    is_usual = parts.port in {None, port_by_scheme[parts.scheme]}
    return host if is_usual else f"{host}:{parts.port}"
