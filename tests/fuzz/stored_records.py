"""Whatever stands in Redis where a record should: it is a record or `unreadable`, to everybody.

One order of three is spoilt; then all that read it do so, in an order that is drawn.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from pushes.access import tokens, users
from pushes.access.principals import Principal, UserRole
from pushes.model import PushKey, State
from pushes.operate import replay, retry
from pushes.operate.step import WrongStateError
from pushes.origin import Origin
from pushes.store import records
from pushes.store.ledger import Ledger
from pushes.store.repair.sweep import Sweep
from service import deps, make_app
from service.settings import load
from tests.builders import (
    NOW,
    ManualClock,
    ReplicaState,
    ScriptedAcknowledger,
    put,
    worker_parts,
)
from tests.fuzz.spoils import Spoil, entry_added, spoils
from tests.integration.test_cli_support import run
from worker.periodic.recovery import Recovery
from worker.wiring import Parts

LATER = NOW + timedelta(hours=1)
_PASSWORD = "three words or more"  # of a user of this test
_OUR_FAULT = re.compile(r"failed_here|not_settled|not_committed|task\.failed")
_ACTORS = (
    *("claim", "push", "notification", "repair", "replay", "discard", "retry", "pages", "api"),
    *("show", "abandoned", "due", "resume", "runs", "recovery", "resends", "prune", "unserved"),
)


@dataclass(frozen=True)
class RecordReaders:
    """All that reads records, over one Redis."""

    redis: Redis
    url: str
    browser: FlaskClient
    token: str
    before: ReplicaState  # who may sign in, and that somebody has

    def actors(self, key: PushKey) -> dict[str, Callable[[], object]]:
        """Everybody who meets the record of an order in their work."""
        clock, ledger = ManualClock(LATER), Ledger(self.redis)
        parts = worker_parts(self.redis, clock=clock, redis_now=clock.now)
        parts.serving.announce()
        return {task.name: task.act for task in parts.tasks} | {
            "claim": partial(_attempt, parts),
            "push": partial(ledger.accept, key, LATER),
            "notification": partial(ledger.notify, key, "FRAUD_RISK_ACCEPTED", LATER, Origin()),
            "repair": partial(_sweep, ledger),
            "abandoned": partial(Recovery(ledger).requeue_abandoned, LATER),
            "replay": partial(_refusable, partial(replay.replay, ledger, key)),
            "discard": partial(_refusable, partial(replay.discard, ledger, key)),
            "retry": partial(_refusable, partial(retry.retry, ledger, key)),
            "pages": partial(self._look, key),
            "api": partial(self._ask, key),
            "show": partial(self._show, key),
        }

    def _look(self, key: PushKey) -> None:
        order = f"/ops/orders/{key.account}/{key.order_id}/"
        for path in (
            *("/ops/", "/ops/orders/", "/ops/dead/", "/ops/replays/new?act=replay", order),
            *(f"/ops/orders/?q={key.order_id}", "/ops/orders/?state=dead", "/metrics"),
        ):
            answer = self.browser.get(path)
            known = {200, 302} if path != order else {200, 404}  # it may have been removed
            assert answer.status_code in known, (path, answer.status_code, answer.text[:300])

    def _ask(self, key: PushKey) -> None:
        order = f"orders/{key.account}/{key.order_id}"
        search = f"orders?q={key.order_id}"
        for path in ("status", "orders", "dead-letters", "causes", search, order):
            answer = self.browser.get(
                f"/ops/api/v1/{path}", headers={"Authorization": f"Bearer {self.token}"}
            )
            known = {200} if path != order else {200, 404}
            assert answer.status_code in known, (path, answer.status_code, answer.text[:300])

    def _show(self, key: PushKey) -> None:
        assert run(self.url, "show", key.order_id, "--json").exit_code in {0, 1}
        assert run(self.url, "status", "--json").exit_code == 0


def _attempt(parts: Parts) -> None:
    scripted = ScriptedAcknowledger()
    begun = parts.starter.start(parts.claims.claim(3).claims)
    parts.settler.settle([scripted.run(attempt) for attempt in begun])


def _sweep(ledger: Ledger) -> None:
    sweep = Sweep(ledger)
    while not sweep.is_round_over:
        sweep.step(LATER)
    sweep.finish(LATER)


def _refusable(act: Callable[..., object]) -> None:
    with suppress(WrongStateError):
        act(by="ops", why="mended", now=LATER)


@contextmanager
def opened(redis_url: str) -> Iterator[Callable[[], None]]:
    """An application with an admin who is signed in."""
    app = make_app(load({"REDIS_URL": redis_url}))
    with Redis.from_url(redis_url) as redis:
        redis.flushdb()
        admin, now = Principal("admin", UserRole.ADMIN), datetime.now(UTC)
        users.add(redis, admin, password=_PASSWORD, by="root", now=now)
        browser = _signed_in(app.test_client())
        script = Principal("script", UserRole.ADMIN)
        token = tokens.add(redis, script, by="root", now=now)
        found = RecordReaders(redis, redis_url, browser, token, ReplicaState.of(redis))

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(
            state=st.sampled_from(State),
            spoiling=st.lists(spoils, min_size=1, max_size=3),
            actors=st.permutations(_ACTORS),
        )
        @example(State.DEAD, [entry_added(b'{"at": 1, "event": null}')], [*_ACTORS])
        def holds(state: State, spoiling: list[Spoil], actors: list[str]) -> None:
            _check(found, state, spoiling, actors)

        yield holds
    deps.of(app).close()


def _check(found: RecordReaders, state: State, spoiling: list[Spoil], actors: list[str]) -> None:
    redis, ledger = found.redis, Ledger(found.redis)
    found.before.take_over(redis)
    fine = put(ledger, State.RETRYING).key
    broken = put(ledger, state).key
    waiting = put(ledger, State.QUEUED).key
    for spoil in spoiling:
        with suppress(ResponseError):  # the one before made it another type
            spoil(redis, broken)
    known = found.actors(broken)
    with capture_logs() as logged:
        for name in actors:
            known[name]()
        for name in ("repair", "recovery", "claim"):  # it is put right, whoever came last
            known[name]()
    wrong = [line for line in logged if _OUR_FAULT.search(line["event"])]
    assert wrong == []
    ledger.read_many([broken], LATER)
    (push,) = ledger.read_many([broken], LATER)
    assert push is None or push.unreadable is None
    records.timeline(redis, broken)
    for key in (fine, waiting):
        other = records.get(redis, key)
        assert other
        assert (other.state, other.unreadable) == (State.ACKNOWLEDGED, None)


def _signed_in(browser: FlaskClient) -> FlaskClient:
    form = browser.get("/ops/sign-in").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', form)
    assert token
    fields = {"csrf_token": token[1], "name": "admin", "password": _PASSWORD}
    assert browser.post("/ops/sign-in", data=fields).status_code == 302
    return browser
