"""Every process is restarted by SIGTERM, one after the other, under load: a new version comes."""

from datetime import datetime
from random import Random

from devtools.chaos.audit.evidence import Evidence
from devtools.chaos.result import Times, TrialResult
from devtools.chaos.running import running_trial
from devtools.chaos.trial import Trial

_LIMIT_S = 5.0
_LATENCY_S = 0.05
_CALM_S = 2.0
# Five processes; it takes 14 s on a small machine. Pushes go on until all are restarted.
_ROUND_AT_MOST_S = 60.0


def run(random: Random, *, rate_per_s: float, rounds: int) -> TrialResult:
    """Restart all, `rounds` times, while orders come in."""
    over_s = _CALM_S + rounds * _ROUND_AT_MOST_S
    count = round(rate_per_s * over_s)
    with running_trial(
        "rolling restart", random, count=count, over_s=over_s, is_calm=True
    ) as trial:
        trial.slow_klarna(_LATENCY_S)
        trial.wait_until(_CALM_S)
        for _ in range(rounds):
            for replica in (*trial.testbed.fleet.workers, *trial.testbed.fleet.webs):
                code = replica.restart()
                replica.wait_ready()
                trial.result.others["restarts by SIGTERM"] += 1
                if code != 0:
                    trial.result.broken.append(f"{replica.name} ended with {code} after SIGTERM")
        if trial.sender.is_idle:
            trial.result.broken.append("the restarts outlasted the pushes")
        trial.stop_pushes()
        trial.measures.append(_delays)
    return trial.result


def _delays(trial: Trial, seen: Evidence) -> Times:
    sent = trial.sender.log.first_sent
    acknowledged = {
        order_id: order["acknowledged_at"] for order_id, order in seen.at_klarna.items()
    }
    seconds = [_epoch(acknowledged[order_id]) - at for order_id, at in sent.items()]
    return Times("from an order's first push until it is acknowledged", seconds, _LIMIT_S)


def _epoch(at: str | None) -> float:
    """Read a time; one that has not come counts as the end of time."""
    return datetime.fromisoformat(at).timestamp() if at else float("inf")
