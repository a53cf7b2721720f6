"""Turns what a scenario leaves behind into its result; knows what holds for every scenario."""

from devtools.simulation import audit
from devtools.simulation.goals import Goal
from devtools.simulation.klarna import QUOTA_PER_S
from devtools.simulation.result import ScenarioResult
from devtools.simulation.stage import SimulationStage

_P95 = 0.95


class Finding:
    """The result of a scenario that is over, with the numbers that all scenarios have."""

    def __init__(self, name: str, course: str, stage: SimulationStage) -> None:
        self._stage = stage
        ends, journal = audit.look(stage), stage.klarna.journal
        self.result = ScenarioResult(
            name,
            course,
            orders=len(stage.shop.pushed_at),
            refused=stage.shop.refused,
            resent=stage.shop.resent,
            lost=len(ends.lost),
            waiting=ends.waiting,
            unverified=len(journal.unverified),
            dead=ends.dead,
            attempts=sum(worker.process.done for worker in stage.workers),
            spent=ends.spent,
            requests=journal.requests,
            answers=journal.answers,
            busiest_second=journal.busiest_second,
            alarms=stage.alarms.raised,
            faults=stage.alarms.faults,
            memory_bytes=stage.memory_bytes(),
            played_s=stage.clock.monotonic(),
        )

    def measure_fresh(self, which: str, since_s: float, until_s: float) -> None:
        """Measure how long the orders first pushed within a span took to be acknowledged."""
        waits_s = audit.waits_s(self._stage, since_s, until_s)
        self.result.fresh = f"{len(waits_s):,} {which}"
        self.result.fresh_p95_s = audit.quantile_s(waits_s, _P95)

    def measure_calls(self, since_s: float, until_s: float) -> None:
        """Count the calls to Klarna in the busiest minute of a span."""
        journal = self._stage.klarna.journal
        self.result.calls_per_minute = journal.busiest_minute(since_s, until_s)

    def always(self) -> list[Goal]:
        """List the goals of every scenario."""
        result = self.result
        return [
            Goal("orders lost", result.lost, 0),
            Goal("real orders dead", result.dead.total(), 0),
            Goal("orders still waiting at the end", result.waiting, 0),
            Goal("acknowledged without a GET before", result.unverified, 0),
            Goal("requests in the busiest second", result.busiest_second, QUOTA_PER_S),
            Goal("faults of the program's own", sum(result.faults.values()), 0),
        ]
