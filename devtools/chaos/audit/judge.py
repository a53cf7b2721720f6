"""Waits until all is quiet, holds what is seen against the invariants, replays, looks again."""

import time
from datetime import UTC, datetime

from devtools.chaos import orders
from devtools.chaos.audit import counts, evidence, invariants, leftovers, recovery
from devtools.chaos.audit.evidence import Evidence
from devtools.chaos.result import Times
from devtools.chaos.trial import Trial
from pushes.model import State
from pushes.read import overview

# Far longer than it takes: what is not quiet then never will be.
_QUIET_WITHIN_S = 240.0
_LOOK_EVERY_S = 0.25
# What was on its way when all looked quiet has arrived by then.
_STILL_QUIET_AFTER_S = 1.0
# A lease, two scans, and the pause after a death alone: a kill may hit the same order again.
_RECOVERY_LIMIT_S = 180.0
# What an attempt takes besides its two calls to Klarna, with room for a small machine.
_ATTEMPT_S = 0.5


def judge(trial: Trial) -> None:
    """Write into the trial's result what holds and what is broken; leaves Klarna well."""
    result = trial.result
    result.orders = len(trial.orders)
    await_quiet(trial)
    seen = _look(trial)
    result.accepted, result.dead = len(seen.accepted), seen.dead
    counters = counts.metrics(trial.testbed.fleet.web_urls[0])
    result.run_again = counters.get("abandoned_requeued", 0)
    _measure(trial, seen)

    trial.slow_klarna(0)
    trial.testbed.sandbox.clear_faults()
    orders.add_lasting_faults(trial.testbed.sandbox, trial.orders)
    trial.testbed.replay_the_dead()
    await_quiet(trial)
    seen = _look(trial)
    result.broken += map(str, invariants.wrong_outcomes(seen))
    result.acknowledged_twice = seen.acknowledged_twice
    if trial.is_calm and seen.acknowledged_twice:
        result.broken.append(
            f"{seen.acknowledged_twice} acknowledged twice by a Klarna that is well"
        )


def _in_turn_s(trial: Trial) -> float:
    """Say how long the interrupted orders take: they are attempted one after the other."""
    return len(trial.interrupted) * (2 * trial.latency_s + _ATTEMPT_S)


def await_quiet(trial: Trial) -> None:
    """Until nothing waits any more, or the time is up: then the audit says what still does."""
    within_s = _QUIET_WITHIN_S + _in_turn_s(trial)
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        trial.testbed.resume()
        if _is_quiet(trial):
            time.sleep(_STILL_QUIET_AFTER_S)
            if _is_quiet(trial):
                return
        time.sleep(_LOOK_EVERY_S)
    trial.result.broken.append(f"not quiet within {within_s:.0f} s")


def _is_quiet(trial: Trial) -> bool:
    by_state = overview.counts(trial.testbed.ledger, datetime.now(UTC))
    if any(by_state[state] for state in State if state.is_waiting) or not trial.sender.is_idle:
        return False
    at_klarna = trial.testbed.orders_at_klarna().values()
    return all(order["next_push_at"] is None for order in at_klarna)


def _look(trial: Trial) -> Evidence:
    """Hold everything that can be seen against the invariants."""
    seen = evidence.collect(trial.testbed, trial.orders, trial.sender.log)
    result, fleet, ledger = trial.result, trial.testbed.fleet, trial.testbed.ledger
    lost = [str(violation) for violation in invariants.lost(seen)]
    result.lost = max(result.lost, len(lost))
    broken = [
        *lost,
        *map(str, invariants.contradictions(seen)),
        *map(str, invariants.unverified(seen)),
    ]
    broken += counts.disagreements(ledger, fleet.web_urls)
    broken += [f"never expires: {name}" for name in leftovers.never_expiring(ledger)]
    broken += [f"{one.name} ended by itself" for one in fleet.replicas if one.has_ended]
    broken += [f"the program failed itself: {line}" for line in fleet.internal_errors()]
    broken += [f"answered otherwise than 200 or 503: {push}" for push in result.sender_log.wrong]
    result.broken += [line for line in broken if line not in result.broken]
    return seen


def _measure(trial: Trial, seen: Evidence) -> None:
    result = trial.result
    found = recovery.delays(trial.interrupted, seen.requests, trial.latency_s)
    limit_s = _RECOVERY_LIMIT_S + _in_turn_s(trial)
    for how in recovery.Interruption:
        seconds = [delay for attempt, delay in found.items() if attempt.how is how]
        if seconds:
            result.times.append(Times(how.value, seconds, limit_s))
    result.times += [measure(trial, seen) for measure in trial.measures]
    for times in result.times:
        if times.limit_s is not None and times.slowest_s > times.limit_s:
            slow = f"{times.slowest_s:.1f} s, more than {times.limit_s:.0f} s"
            result.broken.append(f"{times.what}: {slow}")
