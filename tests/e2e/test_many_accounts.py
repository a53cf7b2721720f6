"""A worker of thousands of accounts: what it takes does not grow with them."""

import re
from datetime import UTC, datetime
from pathlib import Path

from redis import Redis

from devtools.local.processes import Worker, poll
from devtools.local.sandbox_control import SandboxControl
from pushes.model import PushKey, State
from pushes.store import records
from pushes.store.ledger import Ledger

ACCOUNTS = 5_000
CONCURRENCY = 16


def test_a_worker_has_no_thread_and_little_memory_for_each(
    redis_client: Redis, redis_url: str, sandbox: SandboxControl, tmp_path: Path
) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(
        "\n".join(
            f'[accounts.shop-{number}]\napi_url = "{sandbox.url}"\n'
            'username = "sandbox"\npassword = "sandbox"\nrate_per_s = 1000'
            for number in range(ACCOUNTS)
        )
    )
    env = {
        "REDIS_URL": redis_url,
        "ACCOUNTS_FILE": str(file),
        "WORKER_CONCURRENCY": str(CONCURRENCY),
    }
    wanted = [
        PushKey(f"shop-{number}", sandbox.create_order()) for number in range(0, ACCOUNTS, 100)
    ]
    ledger = Ledger(redis_client)

    def all_acknowledged() -> bool:
        found = [records.get(redis_client, key) for key in wanted]
        return all(push is not None and push.state is State.ACKNOWLEDGED for push in found)

    with Worker(env, tmp_path / "worker.log") as worker:
        worker.wait_ready()
        for key in wanted:
            ledger.accept(key, datetime.now(UTC))
        poll(all_acknowledged, 30)
        status = Path(f"/proc/{worker.pid}/status").read_text()
        worker.check()

    numbers = {name: int(number) for name, number in re.findall(r"(\w+):\s+(\d+)", status)}
    assert numbers["Threads"] <= CONCURRENCY + 20
    assert numbers["VmHWM"] <= 100 * 1024
