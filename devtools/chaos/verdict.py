"""Waits until all is quiet, holds what is seen against the invariants, replays, looks again."""

import time
from datetime import UTC, datetime

from devtools.chaos import audit, bookkeeping, evidence, orders, recovery, remains
from devtools.chaos.evidence import Evidence
from devtools.chaos.result import Times
from devtools.chaos.trial import Trial
from pushes.model import State
from pushes.read import overview

# Far longer than it takes: what is not quiet then never will be.
_QUIET_WITHIN_S = 240.0
_LOOK_EVERY_S = 0.25
# What was on its way when all looked quiet has arrived by then.
_STILL_QUIET_AFTER_S = 1.0
_RECOVERY_LIMIT_S = 60.0


def judge(trial: Trial) -> None:
    """Write into the trial's result what holds and what is broken; leaves Klarna well."""
    result = trial.result
    result.orders = len(trial.orders)
    _await_quiet(trial)
    seen = _look(trial)
    result.accepted, result.dead = len(seen.accepted), seen.dead
    counters = bookkeeping.metrics(trial.stage.fleet.webs[0].url)
    result.run_again = counters.get("abandoned_requeued", 0)
    _measure(trial, seen)

    trial.slow_klarna(0)
    trial.stage.sandbox.clear_faults()
    orders.doom(trial.stage.sandbox, trial.orders)
    trial.stage.replay_the_dead()
    _await_quiet(trial)
    seen = _look(trial)
    result.broken += map(str, audit.wrong_end(seen))
    result.acknowledged_twice = seen.acknowledged_twice
    if trial.is_calm and seen.acknowledged_twice:
        result.broken.append(
            f"{seen.acknowledged_twice} acknowledged twice by a Klarna that is well"
        )


def _await_quiet(trial: Trial) -> None:
    """Until nothing waits any more, or the time is up: then the audit says what still does."""
    until = time.monotonic() + _QUIET_WITHIN_S
    while time.monotonic() < until:
        trial.stage.resume()
        if _is_quiet(trial):
            time.sleep(_STILL_QUIET_AFTER_S)
            if _is_quiet(trial):
                return
        time.sleep(_LOOK_EVERY_S)
    trial.result.broken.append(f"not quiet within {_QUIET_WITHIN_S:.0f} s")


def _is_quiet(trial: Trial) -> bool:
    counts = overview.counts(trial.stage.ledger.redis, datetime.now(UTC))
    if any(counts[state] for state in State if state.is_waiting) or not trial.sender.is_idle:
        return False
    at_klarna = trial.stage.orders_at_klarna().values()
    return all(order["next_push_at"] is None for order in at_klarna)


def _look(trial: Trial) -> Evidence:
    """Hold everything that can be seen against the invariants."""
    seen = evidence.collect(trial.stage, trial.orders, trial.sender.book)
    result, fleet, ledger = trial.result, trial.stage.fleet, trial.stage.ledger
    lost = [str(breach) for breach in audit.lost(seen)]
    result.lost = max(result.lost, len(lost))
    broken = [*lost, *map(str, audit.untrue(seen)), *map(str, audit.unverified(seen))]
    broken += bookkeeping.disagreements(ledger, [web.url for web in fleet.webs])
    broken += [f"never expires: {name}" for name in remains.left_for_ever(ledger)]
    broken += [f"{member.name} ended by itself" for member in fleet.members if member.has_fallen]
    broken += [f"the program failed itself: {line}" for line in fleet.faults()]
    broken += [f"answered otherwise than 200 or 503: {push}" for push in result.book.wrong]
    result.broken += [line for line in broken if line not in result.broken]
    return seen


def _measure(trial: Trial, seen: Evidence) -> None:
    result = trial.result
    found = recovery.delays(trial.hits, seen.requests, trial.latency_s)
    for how in recovery.How:
        seconds = [delay for hit, delay in found.items() if hit.how is how]
        if seconds:
            result.times.append(Times(how.value, seconds, _RECOVERY_LIMIT_S))
    result.times += [measure(trial, seen) for measure in trial.measures]
    for times in result.times:
        if times.limit_s is not None and times.slowest_s > times.limit_s:
            slow = f"{times.slowest_s:.1f} s, more than {times.limit_s:.0f} s"
            result.broken.append(f"{times.what}: {slow}")
