"""The environment of what `klarna-ack dev` starts: this shell's, but for what leads elsewhere."""

import os
import re
import sys
from pathlib import Path

# Where this shell's production settings must not reach, and proxies that loopback does not need.
_NOT_HANDED_ON = re.compile(
    r"(klarna|redis)_.*|accounts_file|push_token.*|gunicorn_cmd_args|.*_proxy", re.IGNORECASE
)


def inherited() -> dict[str, str]:
    """Return what is handed on to every process."""
    bin_directory = Path(sys.executable).parent  # Not resolved: a venv's python is a link.
    path = f"{bin_directory}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    kept = {name: value for name, value in os.environ.items() if not _NOT_HANDED_ON.fullmatch(name)}
    return {"LOG_FORMAT": "console" if sys.stdout.isatty() else "json"} | kept | {"PATH": path}


def settings(redis_url: str, sandbox_url: str, port: int) -> dict[str, str]:
    """Return the settings of web and worker."""
    return {
        "REDIS_URL": redis_url,
        "KLARNA_API_URL": sandbox_url,
        "KLARNA_USERNAME": "sandbox",
        "KLARNA_PASSWORD": "sandbox",
        "PORT": str(port),
        # deploy/gunicorn.conf.py listens everywhere; a developer's machine has no need to.
        "GUNICORN_CMD_ARGS": f"--bind=127.0.0.1:{port}",
    }
