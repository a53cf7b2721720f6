"""Worker after worker is killed with its hands full; then some are frozen until leases lapse.

Klarna is slow, so that each kill hits attempts under way. A death on the same machine is seen at
once; one of another machine only when the lease lapses, and so is that of a frozen process.
"""

import time
from random import Random

from devtools.chaos import recovery
from devtools.chaos.course import trial
from devtools.chaos.member import Member
from devtools.chaos.result import TrialResult
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
    with trial(name, random, count=count, over_s=over_s, is_calm=True) as held:
        held.slow_klarna(_LATENCY_S)
        for number in range(1, kills + 1):
            held.wait_until(number * _EVERY_S)
            worker = _busiest(held)
            held.hits += recovery.strike(held.stage.ledger, worker)
            held.result.kills["workers"] += 1
        for _ in range(freezes):
            time.sleep(_PAUSE_S)
            _freeze_one(held)
            held.result.kills["frozen workers"] += 1
        telling = len({hit.at for hit in held.hits})
        held.result.notes.append(
            f"{telling} of {kills + freezes} hit attempts under way, {len(held.hits)} in all"
        )
    return held.result


def _busiest(held: Trial) -> Member:
    """Wait for a worker with attempts under way, and give the one that has most."""
    until = time.monotonic() + _TAKEN_OVER_WITHIN_S
    while True:
        loads = {
            worker: len(recovery.under_way(held.stage.ledger, worker))
            for worker in held.stage.fleet.workers
        }
        busiest = max(loads, key=lambda worker: loads[worker])
        if loads[busiest] or time.monotonic() > until:
            return busiest
        time.sleep(0.01)


def _freeze_one(held: Trial) -> None:
    worker = _busiest(held)
    hits = recovery.strike(held.stage.ledger, worker, only_freeze=True)
    until = time.monotonic() + _TAKEN_OVER_WITHIN_S
    while recovery.under_way(held.stage.ledger, worker) and time.monotonic() < until:
        time.sleep(0.1)
    worker.kill()
    held.hits += hits
