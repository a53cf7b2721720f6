"""Every process is restarted by SIGTERM, one after the other, under load: a new version comes."""

from datetime import datetime
from random import Random

from devtools.chaos.course import trial
from devtools.chaos.evidence import Evidence
from devtools.chaos.result import Times, TrialResult
from devtools.chaos.trial import Trial

_LIMIT_S = 5.0
_LATENCY_S = 0.05
_CALM_S = 2.0
# Rounds of five processes; each takes a few seconds on a small machine, and pushes outlast them.
_ROUND_S = 14.0


def run(random: Random, *, rate_per_s: float, rounds: int) -> TrialResult:
    """Restart all, `rounds` times, while orders come in."""
    over_s = _CALM_S + rounds * _ROUND_S
    count = round(rate_per_s * over_s)
    with trial("rolling restart", random, count=count, over_s=over_s, is_calm=True) as held:
        held.slow_klarna(_LATENCY_S)
        held.wait_until(_CALM_S)
        for _ in range(rounds):
            for member in (*held.stage.fleet.workers, *held.stage.fleet.webs):
                code = member.restart()
                member.wait_ready()
                held.result.others["restarts by SIGTERM"] += 1
                if code != 0:
                    held.result.broken.append(f"{member.name} ended with {code} after SIGTERM")
        if held.sender.is_idle:
            held.result.broken.append("the restarts outlasted the pushes")
        held.measures.append(_delays)
    return held.result


def _delays(held: Trial, seen: Evidence) -> Times:
    sent = held.sender.book.first_sent
    acknowledged = {
        order_id: order["acknowledged_at"] for order_id, order in seen.at_klarna.items()
    }
    seconds = [_epoch(acknowledged[order_id]) - at for order_id, at in sent.items()]
    return Times("from an order's first push until it is acknowledged", seconds, _LIMIT_S)


def _epoch(at: str | None) -> float:
    """Read a time; one that has not come counts as the end of time."""
    return datetime.fromisoformat(at).timestamp() if at else float("inf")
