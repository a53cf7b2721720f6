"""`python -m devtools.bench.peers.feed PEER COUNT [--rate R]`: queue orders, at once or R a second.

PEER is a module of this folder. With a rate it prints {order id: the moment before it was
queued}, on CLOCK_MONOTONIC, once all are queued.
"""

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable
from uuid import uuid4


def feed(send: Callable[[str], None], count: int, rate: float | None) -> dict[str, float]:
    """Queue `count` orders; return when each of them was handed over."""
    began = time.monotonic()
    sent: dict[str, float] = {}
    for number in range(count):
        if rate:
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
        order_id = str(uuid4())
        sent[order_id] = time.monotonic()
        send(order_id)
    return sent


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m devtools.bench.peers.feed")
    parser.add_argument("peer")
    parser.add_argument("count", type=int)
    parser.add_argument("--rate", type=float)
    arguments = parser.parse_args()
    peer = importlib.import_module(f"devtools.bench.peers.{arguments.peer}")
    sent = feed(peer.send, arguments.count, arguments.rate)
    if arguments.rate:
        sys.stdout.write(json.dumps(sent))


if __name__ == "__main__":
    _main()
