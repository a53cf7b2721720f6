"""Dramatiq over Redis. Takes a message off the queue only when its actor is done."""

import os

import dramatiq  # type: ignore[import-not-found]  # peers only
from dramatiq.brokers.redis import RedisBroker  # type: ignore[import-not-found]  # as above

from devtools.bench.peers import calls

dramatiq.set_broker(RedisBroker(url=os.environ["REDIS_URL"]))
acknowledge = dramatiq.actor(calls.acknowledge)


def send(order_id: str) -> None:
    """Queue one order."""
    acknowledge.send(order_id)
