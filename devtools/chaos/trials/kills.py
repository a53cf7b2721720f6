"""Everything is killed at random, under load: workers, web processes, gunicorn's children, Redis.

Meanwhile Klarna fails in every way it can. The AOF is written `always`, or `everysec`: a kill of
Redis alone loses nothing either way, since what it has written is the kernel's by then.
"""

import time
from collections.abc import Mapping
from random import Random

from devtools.chaos import plan, recovery, weather
from devtools.chaos.course import trial
from devtools.chaos.plan import Strike, Target
from devtools.chaos.result import Times, TrialResult
from devtools.chaos.stage import Fsync
from devtools.chaos.trial import Trial

# A little longer than the kills, so that the last one hits something, too.
_PUSHES_OUTLAST_S = 2.0
_LIMIT_S = 60.0
# Slow enough that most kills of a worker hit attempts under way.
_LATENCY_S = 0.25


def run(  # noqa: PLR0913 - what the sizes of a trial are
    name: str,
    random: Random,
    *,
    count: int,
    kills: int,
    over_s: float,
    odds: Mapping[Target, int],
    fsync: Fsync = "always",
    holding: bool = False,
) -> TrialResult:
    """Kill `kills` times in `over_s` seconds; `holding` adds the faults that hold the account."""
    strikes = plan.make(random, kills, over_s, odds)
    failures = (*weather.PASSING, *weather.FINAL, *(weather.HOLDING if holding else ()))
    with trial(name, random, count=count, over_s=over_s + _PUSHES_OUTLAST_S, fsync=fsync) as held:
        held.slow_klarna(_LATENCY_S)
        weather.brew(held.stage.sandbox, failures)
        back_s: list[float] = []
        for strike in strikes:
            held.wait_until(strike.at_s)
            _make(strike, held, back_s)
            held.stage.resume()
        if back_s:
            what = "killed Redis, back again: until a push is accepted"
            held.result.times.append(Times(what, back_s, _LIMIT_S))
    return held.result


def _make(strike: Strike, held: Trial, back_s: list[float]) -> None:
    fleet, victim = held.stage.fleet, strike.victim
    match strike.target:
        case Target.WORKER:
            worker = fleet.workers[victim % len(fleet.workers)]
            held.hits += recovery.strike(held.stage.ledger, worker)
        case Target.WEB:
            fleet.webs[victim % len(fleet.webs)].kill()
        case Target.WEB_CHILD:
            if not fleet.webs[victim % len(fleet.webs)].kill_child():
                return
        case Target.REDIS:
            held.stage.server.kill()
            time.sleep(strike.away_s)
            held.stage.server.restart()
            back_s.append(_until_accepted(held))
    held.result.kills[strike.target.value] += 1


def _until_accepted(held: Trial) -> float:
    """Wait for the next push that is answered 200; give up with the limit."""
    began, before = time.monotonic(), held.sender.book.answers["200"]
    while held.sender.book.answers["200"] == before and not held.sender.is_idle:
        if (waited_s := time.monotonic() - began) > _LIMIT_S:
            return waited_s
        time.sleep(0.01)
    return time.monotonic() - began
