"""Doing one thing to many orders, with a bar on a terminal, and an account of it however it ends.

When Redis fails on the way, or an operator presses ctrl-c, what was done is told all the same, and
the rest stays as it was.
"""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import click
from redis import Redis
from redis.exceptions import RedisError

from cli.batch.report import BatchReport
from cli.exits import Refused, remedy, what_happened
from pushes.model import Push, PushKey
from pushes.operate import batch
from pushes.operate.batch import Act, Operator

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

# Fewer are done before a bar is seen.
_BAR_FROM = 200

# The bar is drawn anew so often at most.
_BAR_STEPS = 200


class Pace:
    """Lets `wait` return at most `rate_per_s` times a second; None is as often as it is called."""

    def __init__(
        self,
        rate_per_s: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval_s = 1 / rate_per_s if rate_per_s else 0.0
        self._clock = clock
        self._sleep = sleep
        self._next_at = clock()

    def wait(self) -> None:
        """Sleep until it is time for the next one; the first need not wait."""
        if not self._interval_s:
            return
        now = self._clock()
        if now < self._next_at:
            self._sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + self._interval_s


def each(  # noqa: PLR0913 - the parts of one sentence: do this to these, at this pace, and tell
    redis: Redis,
    wanted: Sequence[PushKey],
    act: Act,
    operator: Operator,
    report: BatchReport,
    *,
    participle: str,
    pace: Pace | None = None,
) -> None:
    """Do `act` to every order, then tell what came of it; audited.

    `participle` says what is done, for example "replayed". Raises RedisError when Redis is away
    before the first, and Refused when it fails later, after ctrl-c, or when any was refused.
    """
    redis.ping()
    pace = pace or Pace(None)

    def paced(key: PushKey) -> Push:
        pace.wait()
        return act(key)

    try:
        with (
            closing(batch.run(redis, wanted, paced, operator)) as steps,
            _bar(len(wanted), participle) as bar,
        ):
            for step in steps:
                report.add(step)
                bar.update(1)
    except RedisError as error:
        stopped = f"{what_happened(error)}{_whether(wanted, report, participle)}."
        stopped += f" Accepted pushes are safe in Redis. {remedy(error)}. Then run"
    except KeyboardInterrupt:
        reached = wanted[min(report.reached, len(wanted) - 1)]
        stopped = f"Interrupted at {reached.order_id}. To go on, run"
    else:
        report.tell()
        report.check()
        return
    if report.reached:
        report.tell()
    raise Refused(
        f"{stopped} the same command again: what was {participle} is not {participle} twice."
        f" So far {report.done:,} of {len(wanted):,} were {participle}."
    )


def _whether(wanted: Sequence[PushKey], report: BatchReport, participle: str) -> str:
    if report.reached == len(wanted):
        return ""
    return f": whether {wanted[report.reached].order_id} was {participle} is not known"


def _bar(length: int, participle: str) -> "ProgressBar[int]":
    return click.progressbar(
        length=length,
        label=participle.capitalize(),
        file=sys.stderr,
        hidden=length < _BAR_FROM or not sys.stderr.isatty(),
        show_pos=True,
        update_min_steps=max(1, length // _BAR_STEPS),
    )
