"""The course of every trial, from the empty stage to the verdict; the trouble is the caller's."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from devtools.chaos import orders, stage, verdict
from devtools.chaos.result import TrialResult
from devtools.chaos.sender import ChaosSender
from devtools.chaos.stage import Fsync
from devtools.chaos.trial import Trial
from devtools.chaos.watch import RecoveryWatch


@contextmanager
def trial(  # noqa: PLR0913 - what makes one trial differ from another
    name: str,
    random: Random,
    *,
    count: int,
    over_s: float,
    fsync: Fsync = "always",
    is_calm: bool = False,
) -> Iterator[Trial]:
    """Set the stage, push `count` orders over `over_s` seconds, then wait and judge.

    The body makes the trouble; when it is done, all gets quiet and is judged. With `is_calm` all
    orders are good ones, each pushed by the sender alone.
    """
    began = time.monotonic()
    planned = orders.make(random, count, over_s, only_open=is_calm)
    with stage.opened(fsync) as opened:
        orders.create(opened.sandbox, planned)
        result = TrialResult(name)
        urls = [web.url for web in opened.fleet.webs]
        with RecoveryWatch(opened.server.url) as watch, ChaosSender(urls) as sender:
            sender.send(planned)
            result.book = sender.book
            under_trial = Trial(opened, planned, sender, result, is_calm)
            yield under_trial
            verdict.judge(under_trial)
        result.looks, result.disagreements = watch.looks, watch.disagreements
        result.broken += watch.lasting
    result.took_s = time.monotonic() - began
