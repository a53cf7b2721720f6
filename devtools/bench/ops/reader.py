"""Whoever looks at the console: signed in, with a token, and a clock for each answer."""

import re
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import cycle

import requests
from redis import Redis

from devtools.bench.ops.visits import Visit
from devtools.bench.testbed import BenchError
from devtools.local.loopback import loopback_session
from pushes.access import sessions, tokens, users
from pushes.access.principals import Principal, UserRole

# An answer that takes longer is an error.
_PATIENCE_S = 30.0

_FORM_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


@dataclass(slots=True)
class Took:
    """How long the answers took, in milliseconds, by the visit's name."""

    ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def answers(self) -> int:
        """How many they were."""
        return sum(map(len, self.ms.values()))


class ConsoleReader:
    """One person with a browser and a token, one of whose colleagues may see few accounts."""

    def __init__(self, url: str, redis: Redis, limited_to: Sequence[str]) -> None:
        limited = Principal("ben", UserRole.OPERATOR, tuple(limited_to))
        self._admin = self._sign_in(url, redis, Principal("anna", UserRole.ADMIN))
        self._limited = self._sign_in(url, redis, limited)
        who, now = Principal("board", UserRole.ADMIN), datetime.now(UTC)
        self._script = loopback_session()
        token = tokens.add(redis, who, by="bench", now=now)
        self._script.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        """Close the connections."""
        for session in (self._admin, self._limited, self._script):
            session.close()

    def read(self, visits: Sequence[Visit], seconds: float, took: Took, url: str) -> None:
        """Make one visit after the other for so long, and each at least once, to a web process."""
        paths = {visit.name: cycle(visit.paths) for visit in visits}
        deadline = time.monotonic() + seconds
        for number, visit in enumerate(cycle(visits)):
            if number >= len(visits) and time.monotonic() >= deadline:
                return
            path = next(paths[visit.name])
            took.ms[visit.name].append(self._ask(visit, url + path))

    def _ask(self, visit: Visit, url: str) -> float:
        session = self._script if visit.by_token else self._admin
        session = self._limited if visit.limited else session
        began = time.perf_counter()
        answer = session.get(url, timeout=_PATIENCE_S, allow_redirects=False)
        took_ms = (time.perf_counter() - began) * 1000
        found = answer.is_redirect and answer.headers["Location"].startswith("/ops/orders/")
        if answer.status_code != HTTPStatus.OK and not found:
            raise BenchError(f"{visit.name}: {url} was answered {answer.status_code}")
        return took_ms

    def _sign_in(self, url: str, redis: Redis, who: Principal) -> requests.Session:
        user = users.add(redis, who, password=None, by="bench", now=datetime.now(UTC))
        word, session = sessions.make_link(redis, user), loopback_session()
        form = session.get(f"{url}/ops/link", params={"code": word}, timeout=_PATIENCE_S)
        token = _FORM_TOKEN.search(form.text)
        sent = {"code": word, "csrf_token": token[1] if token else ""}
        answer = session.post(
            f"{url}/ops/link", data=sent, timeout=_PATIENCE_S, allow_redirects=False
        )
        if answer.status_code != HTTPStatus.FOUND:
            raise BenchError(f"{who} could not sign in: {answer.status_code}")
        return session
