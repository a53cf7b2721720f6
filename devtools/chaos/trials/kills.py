"""Everything is killed at random, under load: workers, web processes, gunicorn's children, Redis.

Meanwhile Klarna fails in every way it can. The AOF is written `always`, or `everysec`: a kill of
Redis alone loses nothing either way, since what it has written is the kernel's by then.
"""

import time
from collections.abc import Mapping
from random import Random

from devtools.chaos import faults, plan
from devtools.chaos.audit import recovery
from devtools.chaos.plan import Kill, KillTarget
from devtools.chaos.result import Times, TrialResult
from devtools.chaos.running import running_trial
from devtools.chaos.trial import Trial
from devtools.local.embedded import Fsync

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
    odds: Mapping[KillTarget, int],
    fsync: Fsync = "always",
    holding: bool = False,
) -> TrialResult:
    """Kill `kills` times in `over_s` seconds; `holding` adds the faults that hold the account."""
    planned = plan.make(random, kills, over_s, odds)
    chosen = (*faults.PASSING, *faults.FINAL, *(faults.HOLDING if holding else ()))
    with running_trial(
        name, random, count=count, over_s=over_s + _PUSHES_OUTLAST_S, fsync=fsync
    ) as trial:
        trial.slow_klarna(_LATENCY_S)
        faults.add(trial.testbed.sandbox, chosen)
        back_s: list[float] = []
        for kill in planned:
            trial.wait_until(kill.at_s)
            strike(kill, trial, back_s)
            trial.testbed.resume()
        if back_s:
            what = "killed Redis, back again: until a push is accepted"
            trial.result.times.append(Times(what, back_s, _LIMIT_S))
    return trial.result


def strike(kill: Kill, trial: Trial, back_s: list[float], spared: int = 0) -> None:
    """Kill what is to be killed, but for the first `spared` workers and web processes.

    For Redis, `back_s` gets the seconds from its return until a push was accepted.
    """
    fleet, index = trial.testbed.fleet, kill.index
    workers, webs = fleet.workers[spared:], fleet.webs[spared:]
    match kill.target:
        case KillTarget.WORKER:
            worker = workers[index % len(workers)]
            trial.interrupted += recovery.interrupt(trial.testbed.ledger, worker)
        case KillTarget.WEB:
            webs[index % len(webs)].kill()
        case KillTarget.WEB_CHILD:
            if not webs[index % len(webs)].kill_child():
                return
        case KillTarget.REDIS:
            trial.testbed.server.kill()
            time.sleep(kill.away_s)
            trial.testbed.server.restart()
            back_s.append(_until_accepted(trial))
    trial.result.kills[kill.target.value] += 1


def _until_accepted(trial: Trial) -> float:
    """Wait for the next push that is answered 200; give up with the limit."""
    began, before = time.monotonic(), trial.sender.log.answers["200"]
    while trial.sender.log.answers["200"] == before and not trial.sender.is_idle:
        if (waited_s := time.monotonic() - began) > _LIMIT_S:
            return waited_s
        time.sleep(0.01)
    return time.monotonic() - began
