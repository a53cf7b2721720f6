"""Worker after worker is killed with its hands full; then some are frozen until leases lapse.

Klarna is slow, so that each kill hits attempts under way. A death on the same machine is seen at
once; one of another machine only when the lease lapses, and so is that of a frozen process.
"""

import time
from random import Random

from devtools.chaos.audit import recovery
from devtools.chaos.fleet import Replica
from devtools.chaos.result import TrialResult
from devtools.chaos.running import running_trial
from devtools.chaos.trial import Trial

_LATENCY_S = 0.6
_EVERY_S = 2.0
# A lease and two looks of the recovery, with room for a small machine; past that it is a finding.
_TAKEN_OVER_WITHIN_S = 60.0
# Time for its pushes to pile up in the hands of the next to be frozen.
_PAUSE_S = 2.0


def run(random: Random, *, count: int, kills: int, freezes: int) -> TrialResult:
    """Kill `kills` workers in a row, then freeze and kill `freezes` more."""
    over_s = kills * _EVERY_S + freezes * 20.0
    name = f"{kills} kills in a row, {freezes} freezes"
    with running_trial(name, random, count=count, over_s=over_s, is_calm=True) as trial:
        trial.slow_klarna(_LATENCY_S)
        for number in range(1, kills + 1):
            trial.wait_until(number * _EVERY_S)
            worker = _busiest(trial)
            trial.interrupted += recovery.interrupt(trial.testbed.ledger, worker)
            trial.result.kills["workers"] += 1
        for _ in range(freezes):
            time.sleep(_PAUSE_S)
            _freeze_one(trial)
            trial.result.kills["frozen workers"] += 1
        moments = len({attempt.at for attempt in trial.interrupted})
        trial.result.notes.append(
            f"{moments} of {kills + freezes} interrupted attempts under way,"
            f" {len(trial.interrupted)} in all"
        )
    return trial.result


def _busiest(trial: Trial) -> Replica:
    """Wait for a worker with attempts under way, and give the one that has most."""
    until = time.monotonic() + _TAKEN_OVER_WITHIN_S
    while True:
        loads = {
            worker: len(recovery.under_way(trial.testbed.ledger, worker))
            for worker in trial.testbed.fleet.workers
        }
        busiest = max(loads, key=lambda worker: loads[worker])
        if loads[busiest] or time.monotonic() > until:
            return busiest
        time.sleep(0.01)


def _freeze_one(trial: Trial) -> None:
    worker = _busiest(trial)
    interrupted = recovery.interrupt(trial.testbed.ledger, worker, only_freeze=True)
    until = time.monotonic() + _TAKEN_OVER_WITHIN_S
    while recovery.under_way(trial.testbed.ledger, worker) and time.monotonic() < until:
        time.sleep(0.1)
    worker.kill()
    trial.interrupted += interrupted
