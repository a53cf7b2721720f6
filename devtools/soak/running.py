"""Runs the timetable over a chaos testbed, and looks whether the promise was kept."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

from redis.exceptions import RedisError

from devtools.chaos import faults, orders
from devtools.chaos.audit import evidence, invariants, judge, leftovers
from devtools.chaos.orders import ChaosOrder, OrderKind
from devtools.chaos.plan import Kill
from devtools.chaos.result import TrialResult
from devtools.chaos.sender import ChaosSender
from devtools.chaos.testbed import ChaosTestbed, running_testbed
from devtools.chaos.trial import Trial
from devtools.chaos.trials import kills
from devtools.reporting.run import say
from devtools.soak import short_retention, timetable
from devtools.soak.samples import Sample, Sampler
from devtools.soak.timetable import FEED_EVERY_S, Deed, SoakScale
from pushes.model import PushKey
from pushes.operate import replay
from pushes.operate.step import WrongStateError
from pushes.read import dead_letters
from pushes.store.ledger import Ledger

# The others would need a fault of their own in the sandbox for each order.
_KINDS = (OrderKind.OPEN, OrderKind.NOT_YET_VISIBLE, OrderKind.CANCELLED, OrderKind.FORGED)
_LATENCY_S = 0.05
_FLOOD_S = 2.0
_SAY_EVERY_S = 60.0
_WHY = "dead letters are looked after"


@dataclass
class SoakResult:
    """What a run has shown. `broken` is empty when the promise was kept."""

    scale: SoakScale
    samples: list[Sample] = field(default_factory=list)
    trial: TrialResult = field(default_factory=lambda: TrialResult("soak"))
    deeds: dict[Deed, int] = field(default_factory=lambda: dict.fromkeys(Deed, 0))
    replayed: int = 0
    discarded: int = 0
    left: list[str] = field(default_factory=list)  # keys of orders, when all had expired
    took_s: float = 0


class Soak:
    """One run over a testbed, from the first push until the last order has expired."""

    def __init__(self, testbed: ChaosTestbed, sender: ChaosSender, result: SoakResult) -> None:
        self._testbed = testbed
        self._result = result
        self._random = Random()  # noqa: S311 - no secret
        self.trial = Trial(testbed, [], sender, result.trial, is_calm=False)
        self._replayed: set[PushKey] = set()
        self._discarded: set[PushKey] = set()
        # As all processes here: what an operator discards is kept as long as what is settled.
        retention = timedelta(seconds=result.scale.retention_s)
        self._ledger = Ledger(testbed.ledger.redis, retention=retention)

    def load(self, random: Random) -> None:
        """Push and make trouble by the timetable; then make Klarna well and wait for quiet."""
        self._random = random
        faults.add(self._testbed.sandbox, (*faults.PASSING, *faults.FINAL))
        told_at = 0.0
        for at_s, deed in timetable.make(random, self._result.scale):
            self.trial.wait_until(at_s)
            if at_s - told_at > _SAY_EVERY_S:
                told_at = at_s
                say(f"  {at_s / 60:.0f} min, {len(self.trial.sender.log.accepted):,} accepted")
            self._do(at_s, deed)
        self.trial.wait_until(self._result.scale.load_s)
        self._testbed.sandbox.clear_faults()
        judge.await_quiet(self.trial)
        self._operate()
        judge.await_quiet(self.trial)

    def look(self) -> None:
        """Hold what was accepted against what Klarna has seen, and all processes against faults."""
        result, fleet = self._result.trial, self._testbed.fleet
        result.orders = len(self.trial.orders)
        seen = evidence.collect(self._testbed, self.trial.orders, self.trial.sender.log)
        result.accepted = len(seen.accepted)
        result.acknowledged_twice = seen.acknowledged_twice
        lost = list(_lost(seen, {key.order_id for key in self._discarded}))
        result.lost = len(lost)
        result.broken += lost
        result.broken += map(str, invariants.unverified(seen))
        result.broken += [f"{one.name} ended by itself" for one in fleet.replicas if one.has_ended]
        result.broken += [f"failed itself: {line}" for line in fleet.internal_errors()]
        result.broken += [f"answered otherwise: {push}" for push in result.sender_log.wrong]

    def drain(self) -> None:
        """Wait until what is settled has expired; note what is left of the orders."""
        if not self._result.scale.drain_s:
            return
        say("  everything is settled; waiting until it has expired")
        self._discard_all()
        time.sleep(self._result.scale.drain_s)
        ledger = self._testbed.ledger
        self._result.left = [*leftovers.never_expiring(ledger), *_of_orders(self._testbed)]

    def _do(self, at_s: float, deed: Deed | Kill) -> None:
        if isinstance(deed, Kill):
            kills.strike(deed, self.trial, [], spared=1)
            self._testbed.resume()
            return
        self._result.deeds[deed] += 1
        match deed:
            case Deed.FEED:
                self._feed(at_s)
            case Deed.FLOOD:
                self._flood(at_s)
            case Deed.REFUSE:
                faults.add(self._testbed.sandbox, faults.HOLDING)
            case Deed.OPERATE:
                self._operate()

    def _feed(self, at_s: float) -> None:
        scale = self._result.scale
        over_s = min(FEED_EVERY_S, scale.load_s - at_s)
        made = orders.make(self._random, int(scale.pushes_per_s * over_s) or 1, over_s)
        self._send(at_s, [order for order in made if order.kind in _KINDS])

    def _flood(self, at_s: float) -> None:
        count = int(self._result.scale.pushes_per_s * FEED_EVERY_S)
        made = orders.make(self._random, count, _FLOOD_S)
        self._send(at_s, [replace(order, kind=OrderKind.FORGED, is_resent=False) for order in made])

    def _send(self, at_s: float, made: list[ChaosOrder]) -> None:
        orders.create(self._testbed.sandbox, made)
        self.trial.orders += made
        self.trial.sender.send([replace(order, at_s=order.at_s + at_s) for order in made])

    def _operate(self) -> None:
        """Replay what is dead for the first time, and discard what died anew."""
        with suppress(RedisError):  # it is away: the next time
            for key in list(_dead(self._testbed)):
                self._act(key, discard=key in self._replayed)

    def _discard_all(self) -> None:
        for key in list(_dead(self._testbed)):
            self._act(key, discard=True)

    def _act(self, key: PushKey, *, discard: bool) -> None:
        act = replay.discard if discard else replay.replay
        with suppress(WrongStateError):  # Klarna pushed it meanwhile
            act(self._ledger, key, by="soak", why=_WHY, now=datetime.now(UTC))
            self._result.discarded += discard
            self._result.replayed += not discard
            (self._discarded if discard else self._replayed).add(key)


def run(random: Random, scale: SoakScale) -> SoakResult:
    """Run it; what was found is in the result, whether it is good or not."""
    began = time.monotonic()
    result = SoakResult(scale)
    env = {short_retention.VARIABLE: str(scale.retention_s)}
    commands = {"web": short_retention.WEB, "worker": short_retention.WORKER}
    with running_testbed("always", env=env, commands=commands) as testbed:
        testbed.sandbox.settings(latency_ms=_LATENCY_S * 1000)
        with ChaosSender(testbed.fleet.web_urls) as sender:
            result.trial.sender_log = log = sender.log
            server, fleet = testbed.server, testbed.fleet
            with Sampler(
                server.url, fleet, lambda: len(log.accepted), scale.sample_every_s
            ) as sampler:
                result.samples = sampler.samples
                soak = Soak(testbed, sender, result)
                soak.load(random)
                soak.look()
                soak.drain()
    result.took_s = time.monotonic() - began
    return result


def _dead(testbed: ChaosTestbed) -> Iterator[PushKey]:
    cursor: str | None = None
    while True:
        page = dead_letters.page(testbed.ledger.redis, dead_letters.Filter(), cursor=cursor)
        yield from (push.key for push in page.items)
        if (cursor := page.next_cursor) is None:
            return


def _lost(seen: evidence.Evidence, discarded: set[str]) -> Iterator[str]:
    """Find what was answered 200 and came to no end. Of what has expired, Klarna alone can tell."""
    known = frozenset(order_id for order_id, push in seen.records.items() if push)
    yield from map(str, invariants.lost(replace(seen, accepted=seen.accepted & known)))
    forged = {order.order_id for order in seen.planned if order.kind is OrderKind.FORGED}
    for order_id in sorted(seen.accepted - known - forged - discarded):
        order = seen.at_klarna[order_id]
        if not order["acknowledge_effects"] and order["status"] != "CANCELLED":
            yield f"lost: {order_id}: answered 200, has expired, and Klarna knows no end of it"


def _of_orders(testbed: ChaosTestbed) -> list[str]:
    """List the keys that are about one order; the ids of orders have four hyphens."""
    names = [str(name, "utf-8") for name in testbed.ledger.redis.scan_iter(count=1000)]
    return sorted(name for name in names if name.count("-") >= 4 + name.startswith("klarna-ack"))
