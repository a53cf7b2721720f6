"""How one worker process starts, idles and acknowledges with so many accounts."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from uuid import uuid4

from devtools.bench import process_tree
from devtools.bench.figures import Figures, Key
from devtools.bench.scale.costs import names
from devtools.bench.testbed import BenchTestbed
from devtools.local.processes import LoggedProcess, poll, procfile
from devtools.reporting.numbers import percentile
from pushes.model import PushKey
from pushes.store import records
from pushes.store.ledger import Ledger

START = "a worker starts: s"
THREADS = "its threads"
MEMORY = "its memory: MB"
IDLE_CPU = "its CPU while idle: % of a core"
TYPICAL_WAIT = "push to acknowledged at 20 pushes/s: ms, p50"
LONG_WAIT = "push to acknowledged at 20 pushes/s: ms, p95"

_PUSHES_PER_S = 20
_PATIENCE_S = 30.0
# Connections are opened and code is warm after this.
_SKIPPED = 2 * _PUSHES_PER_S


def measure(
    testbed: BenchTestbed, directory: Path, count: int, seconds: float, figures: Figures
) -> None:
    """Measure one worker of so many accounts; each part takes `seconds`."""
    accounts = names(count)
    file = directory / f"accounts-{count}.toml"
    file.write_text(
        "\n".join(
            f'[accounts.{name}]\napi_url = "{testbed.klarna.url}"\n'
            f'username = "{name}"\npassword = "bench"\nrate_per_s = 1000'
            for name in accounts
        )
    )
    testbed.clear()
    condition = f"{count:,}"

    def note(figure: str, value: float) -> None:
        figures.note(Key("ours", condition, figure), value)

    began = time.monotonic()
    env = {"REDIS_URL": testbed.redis_url, "ACCOUNTS_FILE": str(file), "LOG_FORMAT": "json"}
    log = directory / f"worker-{count}.log"
    with _ending(LoggedProcess("worker", procfile()["worker"], env, log)) as process:
        process.wait_until(lambda: '"worker.started"' in process.log or None, _PATIENCE_S)
        note(START, time.monotonic() - began)
        time.sleep(2)
        note(THREADS, len(list(Path(f"/proc/{process.pid}/task").iterdir())))
        note(MEMORY, process_tree.memory_mb([process.pid]))
        spent_s = process_tree.cpu_s([process.pid])
        time.sleep(seconds)
        note(IDLE_CPU, (process_tree.cpu_s([process.pid]) - spent_s) / seconds * 100)
        waits = _waits_ms(Ledger(testbed.redis), accounts, seconds)
        note(TYPICAL_WAIT, median(waits))
        note(LONG_WAIT, percentile(waits, 0.95))


@contextmanager
def _ending(process: LoggedProcess) -> Iterator[LoggedProcess]:
    try:
        yield process
    finally:
        process.kill9()


def _waits_ms(ledger: Ledger, accounts: list[str], seconds: float) -> list[float]:
    """Push at a steady rate, each time for some account; return how long each order waited."""
    pushed: list[PushKey] = []
    began = time.monotonic()
    for number in range(_SKIPPED + int(seconds * _PUSHES_PER_S)):
        time.sleep(max(0.0, began + number / _PUSHES_PER_S - time.monotonic()))
        key = PushKey(random.choice(accounts), str(uuid4()))  # noqa: S311 - no secret
        ledger.accept(key, datetime.now(UTC))
        pushed.append(key)

    def all_acknowledged() -> list[float] | None:
        found = records.get_many(ledger.redis, pushed[_SKIPPED:])
        ends = [(push.first_push_at, push.acknowledged_at) for push in found if push]
        waits = [(end - start).total_seconds() * 1000 for start, end in ends if end]
        return waits if len(waits) == len(pushed) - _SKIPPED else None

    return poll(all_acknowledged, _PATIENCE_S, "not every order is acknowledged")
