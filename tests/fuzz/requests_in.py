"""Whatever a client sends: never a 5xx, and never a push that is accepted and not stored."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, cast
from urllib.parse import quote

from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis import Redis
from werkzeug.test import create_environ
from werkzeug.wrappers import Response

from pushes.model import PushKey, State
from pushes.store import keys, records
from service import deps, make_app
from service.settings import load

ID = "0a1b2c3d-4e5f-6a7b-8c9d-0e1f2a3b4c5d"
TOKEN = "right-one"
_QUEUE = "rq:queue:klarna-ack"
_STORED = "klarna-ack:push:*"

_ROUTES = (
    *("push", "notification", "healthz", "readyz", "metrics", "ops", "ops/static/console.css"),
    *("ops/sign-in", "ops/link", "ops/orders", "ops/dead", "ops/replays/new", "ops/audit"),
    *(f"ops/orders/default/{ID}", f"ops/orders/default/{ID}/replay", "ops/accounts/default/pause"),
    *("ops/api/v1/status", "ops/api/v1/openapi.json", "ops/api/v1/runs", "ops/api/v1/orders"),
    *(f"ops/api/v1/orders/default/{ID}", "ops/api/v1/dead-letters", "ops/api/v1/me"),
)
_METHODS = ("POST", "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT")
_PARAMETERS = (
    *("klarna_order_id", "order_id", "checkout_uri", "sid", "token", "q", "cursor", "limit"),
    *("state", "reason", "since", "until", "account", "next", "code", "act"),
)
_HEADERS = (
    *("Content-Type", "Host", "Cookie", "Authorization", "Accept", "Accept-Language", "Origin"),
    *("X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "If-None-Match", "Range", "Referer"),
    *("If-Modified-Since", "Expect", "Transfer-Encoding", "Content-Encoding", "User-Agent"),
    *("Traceparent", "X-CSRFToken", "HX-Request"),
)
_WORDS = (
    *(ID, ID.upper(), f"{ID}0", f"https://api.klarna.com/checkout/v3/orders/{ID}/", TOKEN),
    *("default", "nobody", "..", ".", "", "%", "%00", "%ff", "dead", "1e999", "-1", "9" * 400),
    *("application/json", "application/x-www-form-urlencoded; charset=utf-7", "bytes=0-", "*/*"),
    *("multipart/form-data; boundary=x", "Bearer kack_x", "Basic Og==", "session=.eJw", "::1"),
    *('{"order_id": "' + ID + '", "event_type": "FRAUD_RISK_ACCEPTED"}', "[[[[", "null", '{"a":'),
    *("2026-13-45T99:99:99Z", 'state:"dead', 'W/"x"', "127.0.0.1, [2001:db8::1]:4711"),
)
odd = (
    st.sampled_from(_WORDS).map(str.encode)
    | st.binary(max_size=60)
    | st.text(max_size=40).map(str.encode)
)
_segments = st.lists(odd, max_size=3)
paths = st.builds(
    lambda route, rest: b"/" + b"/".join([route, *rest]),
    st.sampled_from(_ROUTES).map(str.encode) | odd,
    _segments | st.just([]),
)
queries = st.lists(
    st.tuples(st.sampled_from(_PARAMETERS).map(str.encode) | odd, odd, st.booleans()), max_size=4
)
headers = st.lists(st.tuples(st.sampled_from(_HEADERS), odd), max_size=4)
bodies = odd | st.integers(0, 3).map(lambda size: b"x" * (size * 40_000))


@dataclass(frozen=True)
class Asked:
    """A request as gunicorn hands it over."""

    method: str
    path: bytes
    query: list[tuple[bytes, bytes, bool]]  # the third: whether they are encoded
    headers: list[tuple[str, bytes]]
    body: bytes
    address: str
    is_chunked: bool

    @property
    def environ(self) -> dict[str, Any]:
        found: dict[str, Any] = create_environ(method=self.method)
        found |= {
            "PATH_INFO": self.path.decode("latin-1"),
            "QUERY_STRING": b"&".join(map(_parameter, self.query)).decode("latin-1"),
            "REMOTE_ADDR": self.address,
            "wsgi.input": BytesIO(self.body),
            "wsgi.input_terminated": True,
        }
        for name, value in self.headers:
            key = name.upper().replace("-", "_")
            known = key if key == "CONTENT_TYPE" else f"HTTP_{key}"
            found[known] = _printed(value).decode("latin-1").strip()
        if not self.is_chunked:
            found["CONTENT_LENGTH"] = str(len(self.body))
        return found


asked = st.builds(
    Asked,
    method=st.sampled_from(_METHODS) | st.just("POST") | st.text("ABCXYZ", min_size=1, max_size=9),
    path=paths,
    query=queries,
    headers=headers,
    body=bodies,
    address=st.sampled_from(["52.17.117.56", "192.0.2.1", "2001:db8::1", ""]) | st.text(max_size=9),
    is_chunked=st.booleans(),
)


_PUSHED = [(b"order_id", ID.encode(), False), (b"token", TOKEN.encode(), False)]
_PUSH = Asked("POST", b"/push", _PUSHED, [], b"", "192.0.2.1", is_chunked=False)


@contextmanager
def opened(redis_url: str) -> Iterator[Callable[[], None]]:
    """One application that asks for no token, and one that does, over the same Redis."""
    apps = [
        make_app(load({"REDIS_URL": redis_url, **settings_}))
        for settings_ in ({}, {"PUSH_TOKEN": TOKEN, "PROXY_HOPS": "1"})
    ]
    with Redis.from_url(redis_url) as redis:

        @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
        @given(request=asked)
        @example(request=_PUSH)
        @example(request=replace(_PUSH, path=f"/push/default/{ID}".encode(), is_chunked=True))
        def holds(request: Asked) -> None:
            for app in apps:
                redis.flushdb()
                _check(app, redis, request)

        yield holds
    for app in apps:
        deps.of(app).close()


def _check(app: Flask, redis: Redis, request: Asked) -> None:
    answer = Response.from_app(app, request.environ, buffered=True)
    assert answer.status_code < 500, (answer.status_code, answer.get_data()[:200])
    names = cast(list[bytes], redis.keys(_STORED))
    stored = {name.decode().removeprefix(_STORED.removesuffix("*")) for name in names}
    takes_in = re.match(rb"/(push|notification)(/|$)", request.path) and request.method == "POST"
    if not (takes_in and answer.status_code == 200):
        assert stored == set()
        return
    told = answer.get_json()
    key = PushKey(told["account"], told["order_id"])
    push = records.get(redis, key)
    assert stored == {keys.job_id(key)}
    assert push
    assert (push.state, push.unreadable) == (State.QUEUED, None)
    assert redis.lrange(_QUEUE, 0, -1) == [keys.job_id(key).encode()]


def _parameter(parameter: tuple[bytes, bytes, bool]) -> bytes:
    name, value, is_encoded = parameter
    if is_encoded:
        return f"{quote(name)}={quote(value)}".encode()
    return _printed(name) + b"=" + _printed(value)


def _printed(part: bytes) -> bytes:
    """What of it a server hands over as it came."""
    return bytes(byte for byte in part if byte > 0x20 and byte != 0x7F)
