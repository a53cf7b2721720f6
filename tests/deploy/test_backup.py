"""What deploy/redis/back-up copies can be started from; what came after is queued again."""

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from redis import Redis

from devtools.local.loopback import free_port
from devtools.local.processes import LoggedProcess
from devtools.local.server_binary import find_server_binary
from pushes.model import PushKey, State
from pushes.store import records
from pushes.store.ledger import Ledger
from tests.builders import a_key, put
from tests.deploy.redis_files import FOLDER, with_passwords
from tests.integration.test_cli_support import run

BACK_UP = FOLDER / "back-up"


def start(directory: Path, port: int) -> LoggedProcess:
    directory.mkdir(exist_ok=True)
    (directory / "users.acl").write_text(with_passwords((FOLDER / "users.acl").read_text()))
    here = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)]
    users = ["--aclfile", str(directory / "users.acl")]
    command = [str(find_server_binary()), str(FOLDER / "klarna-ack.conf"), *here, *users]
    server = LoggedProcess("redis", command, {}, directory / "server.log")
    server.wait_for_line("Ready to accept connections")
    return server


def states(redis: Redis, keys: list[PushKey]) -> list[State | None]:
    found = [records.get(redis, key) for key in keys]
    return [push.state if push else None for push in found]


def test_a_backup_is_a_past_from_which_everything_goes_on(
    debian_tool: Callable[[str, str], str], tmp_path: Path
) -> None:
    debian_tool("redis-cli", "redis-tools")
    port, backup = free_port(), tmp_path / "backup"
    url = f"redis://operator:operator@127.0.0.1:{port}/0"
    with (
        start(tmp_path / "lost", port) as server,
        Redis(port=port, username="admin", password="admin") as redis,
    ):
        ledger = Ledger(redis)
        kept = [put(ledger, State.QUEUED).key, put(ledger, State.DEAD).key, a_key()]
        ledger.accept(kept[2], datetime.now(UTC))
        address = f"127.0.0.1:{port}"
        subprocess.run(
            [BACK_UP, tmp_path / "lost", backup, address],
            env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": "admin"},
            check=True,
        )
        after = a_key()
        ledger.accept(after, datetime.now(UTC))
        setting = "auto-aof-rewrite-percentage"
        assert redis.config_get(setting)[setting] == "100"
        server.kill9()

    (tmp_path / "restored").mkdir()
    (backup / "appendonlydir").rename(tmp_path / "restored" / "appendonlydir")
    with start(tmp_path / "restored", port), Redis.from_url(url) as redis:
        assert states(redis, [*kept, after]) == [State.QUEUED, State.DEAD, State.QUEUED, None]
        assert run(url, "push", after.order_id, "--account", after.account).exit_code == 0
        assert states(redis, [after]) == [State.QUEUED]
        assert run(url, "repair", "--dry-run").exit_code == 0
