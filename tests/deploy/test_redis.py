"""The server starts with the configuration of deploy/, which says what the documents ask for."""

import tempfile
from pathlib import Path

from redis import Redis

from devtools.local.loopback import free_port
from devtools.local.processes import ROOT, LoggedProcess
from devtools.local.server_binary import find_server_binary
from tests.documents import OPERATIONS, table, words

FRAGMENT = ROOT / "deploy" / "redis" / "klarna-ack.conf"


def in_file() -> dict[str, str]:
    lines = [line for line in FRAGMENT.read_text().splitlines() if line and line[0] != "#"]
    return {name: value for name, _, value in (line.partition(" ") for line in lines)}


def test_the_server_takes_it() -> None:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="klarna-ack-redis-") as directory:
        here = ["--port", str(port), "--bind", "127.0.0.1", "--dir", directory]
        command = [str(find_server_binary()), str(FRAGMENT), *here]
        log = Path(directory) / "server.log"
        with LoggedProcess("redis", command, {}, log) as server, Redis(port=port) as client:
            server.wait_for_line("Ready to accept connections")
            is_set = {name: client.config_get(name)[name] for name in in_file()}
    assert is_set == in_file() | {"maxmemory": str(2**30)}


def test_it_sets_what_the_documents_ask_for() -> None:
    rows = table(OPERATIONS, "| Setting | Value | Why |")
    asked = {words(row[0])[0]: words(row[1]) for row in rows}
    given = in_file()
    for name in ("appendonly", "appendfsync", "maxmemory-policy", "stream-node-max-bytes"):
        assert asked[name] == [given[name]]
