"""Runs a trial, from the empty testbed to the verdict; the trouble is the caller's."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from devtools.chaos import orders
from devtools.chaos.audit import judge
from devtools.chaos.audit.counts import CountWatch
from devtools.chaos.result import TrialResult
from devtools.chaos.sender import ChaosSender
from devtools.chaos.testbed import running_testbed
from devtools.chaos.trial import Trial
from devtools.local.embedded import Fsync


@contextmanager
def running_trial(  # noqa: PLR0913 - what makes one trial differ from another
    name: str,
    random: Random,
    *,
    count: int,
    over_s: float,
    fsync: Fsync = "always",
    is_calm: bool = False,
) -> Iterator[Trial]:
    """Start all, push `count` orders over `over_s` seconds, then wait and judge.

    The body makes the trouble; when it is done, all gets quiet and is judged. With `is_calm` all
    orders are good ones, each pushed by the sender alone.
    """
    began = time.monotonic()
    planned = orders.make(random, count, over_s, only_open=is_calm)
    with running_testbed(fsync) as testbed:
        orders.create(testbed.sandbox, planned)
        result = TrialResult(name)
        with CountWatch(testbed.server.url) as watch, ChaosSender(testbed.fleet.web_urls) as sender:
            sender.send(planned)
            result.sender_log = sender.log
            trial = Trial(testbed, planned, sender, result, is_calm)
            yield trial
            judge.judge(trial)
        result.comparisons, result.disagreements = watch.comparisons, watch.disagreements
        result.broken += watch.lasting
    result.took_s = time.monotonic() - began
