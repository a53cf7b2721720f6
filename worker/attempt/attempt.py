"""One attempt while it is under way, and how it ended."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pushes import life
from pushes.model import Change, Push
from pushes.store import rq_job
from pushes.store.rq_job import PushJob
from worker.attempt.acknowledge import Report
from worker.attempt.outcomes import Outcome
from worker.clock import Clock


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt under way: the record as it was started, and the RQ job that runs it."""

    push: Push
    job: PushJob
    began: float
    clock: Clock
    slot_at: float | None
    is_probe: bool = False

    @property
    def age_s(self) -> float:
        """Seconds since it began."""
        return self.clock.monotonic() - self.began

    @property
    def hangs(self) -> bool:
        """Whether it is past every time limit; its thread may never return."""
        return self.age_s > rq_job.JOB_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended: the change to commit, and how to make it of a newer record."""

    attempt: Attempt
    outcome: Outcome
    report: Report
    at: datetime
    change: Change

    @classmethod
    def of(cls, attempt: Attempt, outcome: Outcome, report: Report, at: datetime) -> Self:
        """Make the change that the outcome means to the push as it was begun."""
        return cls(attempt, outcome, report, at, _step(attempt.push, outcome, report, at))

    @property
    def account(self) -> str:
        """Name the account of the push."""
        return self.attempt.push.key.account

    def step(self, push: Push) -> Change:
        """Make the change that the outcome means to a newer record."""
        return _step(push, self.outcome, self.report, self.at)

    def with_outcome(self, outcome: Outcome) -> Self:
        """Return the same ending with another judgement."""
        return type(self).of(self.attempt, outcome, self.report, self.at)


def _step(push: Push, outcome: Outcome, report: Report, at: datetime) -> Change:
    change = outcome.step(push, at)
    return life.reported(change, tuple(report.entries), report.order, at)
