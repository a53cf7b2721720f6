"""Redis is away for half a minute, then frozen; nobody restarts anything but Redis."""

import time
from datetime import datetime
from random import Random

from devtools.chaos.result import Times, TrialResult
from devtools.chaos.running import running_trial
from devtools.chaos.trial import Trial

_LIMIT_S = 60.0
_LATENCY_S = 0.3
_CALM_S = 3.0


def run(random: Random, *, count: int, away_s: float, frozen_s: float) -> TrialResult:
    """Push while Redis is killed, away, back, frozen for longer than a lease, and thawed."""
    over_s = 4 * _CALM_S + away_s + frozen_s
    name = f"Redis away for {away_s:.0f} s, then frozen for {frozen_s:.0f} s"
    with running_trial(name, random, count=count, over_s=over_s, is_calm=True) as trial:
        server = trial.testbed.server
        trial.slow_klarna(_LATENCY_S)
        pids = [replica.pid for replica in trial.testbed.fleet.replicas]
        accepted_s: list[float] = []
        acknowledged_s: list[float] = []

        trial.wait_until(_CALM_S)
        server.kill()
        time.sleep(away_s)
        server.restart()
        _note_return(trial, accepted_s, acknowledged_s)
        time.sleep(2 * _CALM_S)
        server.freeze()
        time.sleep(frozen_s)
        server.thaw()
        _note_return(trial, accepted_s, acknowledged_s)

        trial.result.kills["Redis"] += 1
        trial.result.others["Redis frozen"] += 1
        trial.result.times += [
            Times("Redis back: until a push is accepted", accepted_s, _LIMIT_S),
            Times("Redis back: until an order is acknowledged", acknowledged_s, _LIMIT_S),
        ]
        if pids != [replica.pid for replica in trial.testbed.fleet.replicas]:
            trial.result.broken.append("a process was restarted")
    return trial.result


def _note_return(trial: Trial, accepted_s: list[float], acknowledged_s: list[float]) -> None:
    """Wait until pushes are accepted and orders acknowledged again, and note how long it took."""
    back_at, began = time.time(), time.monotonic()
    last = trial.testbed.sandbox.requests()[-1]["seq"] if trial.testbed.sandbox.requests() else 0
    accepted = acknowledged = False
    while not (accepted and acknowledged) and time.monotonic() - began < _LIMIT_S:
        time.sleep(0.05)
        if not accepted and any(at > back_at for at in trial.sender.log.accepted.copy().values()):
            accepted_s.append(time.monotonic() - began)
            accepted = True
        if not acknowledged:
            later = trial.testbed.sandbox.requests(since=last)
            effects = [request["at"] for request in later if request["effect"]]
            if effects:
                acknowledged_s.append(datetime.fromisoformat(effects[0]).timestamp() - back_at)
                acknowledged = True
    if not (accepted and acknowledged):
        trial.result.broken.append(f"Redis is back, but nothing happens within {_LIMIT_S:.0f} s")
