"""Makes a scenario's result from what it leaves behind; knows what holds for every scenario."""

from devtools.reporting.goals import Goal
from devtools.reporting.numbers import percentile
from devtools.simulation import audit
from devtools.simulation.klarna.model import QUOTA_PER_S
from devtools.simulation.result import ScenarioResult
from devtools.simulation.testbed import SimulationTestbed

_P95 = 0.95


class ResultBuilder:
    """The result of a scenario that is over, with the numbers that all scenarios have."""

    def __init__(self, name: str, description: str, testbed: SimulationTestbed) -> None:
        self._testbed = testbed
        outcomes, journal = audit.look(testbed), testbed.klarna.journal
        self.result = ScenarioResult(
            name,
            description,
            orders=len(testbed.shop.pushed_at),
            refused=testbed.shop.refused,
            resent=testbed.shop.resent,
            lost=len(outcomes.lost),
            waiting=outcomes.waiting,
            unverified=len(journal.unverified),
            dead=outcomes.dead,
            attempts=sum(worker.process.done for worker in testbed.workers),
            spent=outcomes.spent,
            requests=journal.requests,
            answers=journal.answers,
            busiest_second=journal.busiest_second,
            alarms=testbed.alarms.raised,
            faults=testbed.alarms.faults,
            memory_bytes=testbed.memory_bytes(),
            played_s=testbed.clock.monotonic(),
        )

    def measure_fresh(self, which: str, since_s: float, until_s: float) -> None:
        """Measure how long the orders first pushed within a span took to be acknowledged."""
        testbed = self._testbed
        waits_s = audit.waits_s(testbed.shop, testbed.klarna, since_s, until_s)
        self.result.fresh = f"{len(waits_s):,} {which}"
        self.result.fresh_p95_s = percentile(waits_s, _P95) if waits_s else 0.0

    def measure_calls(self, since_s: float, until_s: float) -> None:
        """Count the calls to Klarna in the busiest minute of a span."""
        journal = self._testbed.klarna.journal
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
