"""One HTTP call, from the request to the last byte of its answer, by requests' adapter.

There is no `requests.Session` on purpose: following redirects, storing cookies, re-reading the
environment and `.netrc` for each call are all done by the Session. The adapter below it sends
exactly one request and nothing else. What even the adapter would ask anew for each request is
settled once, for the one host: proxy, CA bundle, pool. ADR 19 lists what is overridden, and why.
"""

import os
import ssl
import time
from datetime import UTC, datetime
from typing import Any, Final, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy
from urllib3 import PoolManager, Timeout
from urllib3.connectionpool import HTTPConnectionPool

from klarna.answers import MAX_BODY_BYTES, Answer
from klarna.calls import Call
from klarna.connections import PlainPool, TLSPool, tls_context
from klarna.deadlines import Deadline, TimeLimits
from klarna.failures import failure_of

_CHUNK_BYTES: Final = 16 * 1024  # most orders fit into one; made of tiny chunks it takes 0.5 MB


class Transport:
    """Sends requests to one base URL; safe for many threads, with one connection for each."""

    def __init__(self, url: str, *, pool_size: int, limits: TimeLimits) -> None:
        self._url = str(requests.Request("GET", url).prepare().url).rstrip("/")  # normalised
        self._timeout = Timeout(connect=limits.connect_s, read=limits.read_s)
        self._limit_s = limits.total_s
        self._adapter = _OneHostAdapter(self._url, pool_size)

    def send(self, call: Call, headers: CaseInsensitiveDict[str]) -> Answer:
        """Send one request and read its answer, up to the cap and within the time limits.

        Raises TransientError, LocalError or MisconfigurationError, with the exchange, when no
        answer came.
        """
        request = requests.PreparedRequest()
        request.method = call.operation.method
        request.url = self._url + call.path
        request.headers = headers
        if call.body is not None:
            request.prepare_body(call.body, None)  # which states its length
        deadline = Deadline(self._limit_s)
        started_s = time.monotonic()
        try:
            response, body = self._exchange(request, deadline)
        except Exception as error:  # whatever the layers below raise: no answer came
            raise failure_of(
                error, call.operation, _ms_since(started_s), time_is_up=deadline.has_passed
            ) from error
        return Answer(
            operation=call.operation,
            status=response.status_code,
            headers=response.headers,
            body=body,
            elapsed_ms=_ms_since(started_s),
            received_at=datetime.now(UTC),
        )

    def _exchange(
        self, request: requests.PreparedRequest, deadline: Deadline
    ) -> tuple[requests.Response, bytearray]:
        timeout = cast(tuple[float, float], self._timeout)  # a Timeout it takes as well
        body = bytearray()  # grown in place: an answer is in memory once
        with deadline, self._adapter.send(request, stream=True, timeout=timeout) as response:
            while len(body) <= MAX_BODY_BYTES and (chunk := response.raw.read(_CHUNK_BYTES)):
                body += chunk
        if deadline.has_passed:  # a connection shut half way may look like a complete answer
            raise TimeoutError
        return response, body

    def close(self) -> None:
        """Close the idle connections; calls under way may fail."""
        self._adapter.close()


class _OneHostAdapter(HTTPAdapter):
    """Sends to the host of `url`, with the CA bundle and the proxy that the environment names."""

    def __init__(self, url: str, pool_size: int) -> None:
        proxies = get_environ_proxies(url)
        proxy = select_proxy(url, proxies) or ""
        if proxy.lower().startswith("socks"):
            raise ValueError("a SOCKS proxy cannot be used: name an HTTP proxy in HTTPS_PROXY")
        self._tls = environment_tls()
        super().__init__(pool_connections=1, pool_maxsize=pool_size)
        probe = requests.Request("GET", url).prepare()
        pool = super().get_connection_with_tls_context(probe, verify=True, proxies=proxies)
        self._pool = cast(HTTPConnectionPool, pool)
        # To a proxy that forwards, the whole URL is sent; to all others, only its path.
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        self._unsent = 0 if super().request_url(probe, proxies) == probe.url else len(origin)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - requests' own
        """Make pools of connections that are watched, with the TLS settings of the process."""
        super().init_poolmanager(*args, **options, ssl_context=self._tls)
        _use_watched_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> PoolManager:  # noqa: ANN401 - as above
        """Make the same through a proxy, which may itself be spoken to in TLS."""
        options |= {"ssl_context": self._tls, "proxy_ssl_context": self._tls}
        manager = super().proxy_manager_for(proxy, **options)
        _use_watched_pools(manager)
        return cast(PoolManager, manager)

    def get_connection_with_tls_context(
        self, *_args: object, **_options: object
    ) -> HTTPConnectionPool:
        """Return the one pool: building urllib3's pool key for each call costs more than JSON."""
        return self._pool

    def cert_verify(self, *_args: object) -> None:
        """Leave the pool as it is: it was told its CA bundle when it was made."""

    def request_url(self, request: requests.PreparedRequest, _proxies: object) -> str:
        """Return what is sent of the URL."""
        return str(request.url)[self._unsent :]

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:  # noqa: ANN401 - as above
        """Return what we read of an answer; cookies are none of it, and dear to look for."""
        response = requests.Response()
        response.status_code, response.headers = resp.status, resp.headers
        response.raw, response.request = resp, req
        return response

    def close(self) -> None:
        """Close the idle connections; urllib3 itself leaves that to the garbage collector."""
        super().close()
        self._pool.close()


def _use_watched_pools(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": PlainPool, "https": TLSPool}


def environment_tls() -> ssl.SSLContext:
    """Trust the CA bundle that the environment names, as requests would, else certifi's."""
    named = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    try:
        return tls_context(named or DEFAULT_CA_BUNDLE_PATH)
    except OSError as error:
        raise ValueError(
            "REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names no file or directory"
            f" of certificates that can be read: {error.strerror or error}"
        ) from error


def _ms_since(started_s: float) -> int:
    return round((time.monotonic() - started_s) * 1000)
