"""Taskiq over a Redis stream, on asyncio with aiohttp: the fastest peer we know of.

Of taskiq's brokers for Redis only the one on streams keeps a job whose worker was killed.
"""

import asyncio
import os
from uuid import uuid4

import aiohttp  # type: ignore[import-not-found]  # peers only
from taskiq import TaskiqEvents, TaskiqState  # type: ignore[import-not-found]  # as above
from taskiq_redis import RedisStreamBroker  # type: ignore[import-not-found]  # as above

from devtools.bench.peers.calls import orders_url

# "0" instead of "$": jobs that were queued before the first worker came shall be seen.
broker = RedisStreamBroker(os.environ["REDIS_URL"], consumer_id="0")


@broker.on_event(TaskiqEvents.WORKER_STARTUP)  # type: ignore[untyped-decorator]  # as above
async def _open(state: TaskiqState) -> None:
    state.session = aiohttp.ClientSession(auth=aiohttp.BasicAuth("bench", "bench"))


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)  # type: ignore[untyped-decorator]  # as above
async def _close(state: TaskiqState) -> None:
    await state.session.close()


@broker.task  # type: ignore[untyped-decorator]  # as above
async def acknowledge(order_id: str) -> None:
    """Make the two calls, as `calls.acknowledge` does."""
    session: aiohttp.ClientSession = broker.state.session
    url = orders_url() + order_id
    async with session.get(url) as answer:
        answer.raise_for_status()
        if (await answer.json())["order_id"] != order_id:
            raise ValueError("another order's answer")
    headers = {"Klarna-Idempotency-Key": str(uuid4())}
    async with session.post(f"{url}/acknowledge", headers=headers) as answer:
        answer.raise_for_status()


_runner = asyncio.Runner()


def send(order_id: str) -> None:
    """Queue one order."""
    _runner.run(acknowledge.kiq(order_id))
