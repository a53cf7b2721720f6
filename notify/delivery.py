"""Sends one message to one recipient: `deliver`, and the process that it starts for it.

A process of its own, since nothing else gives every service of apprise one time limit, and since
nothing that a service logs then reaches our log, which would show the URL.
"""

import json
import logging
import re
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from notify.messages import Message
from notify.recipients import Recipient

# A service answers in a second; apprise waits for some seconds to connect, and to be answered.
TIME_LIMIT_S = 20.0

_NOT_TAKEN = 1

# What a service answered is the one thing of its words that cannot be a secret.
_STATUS = re.compile(r"\berror=(\d{3})\b")


def deliver(recipient: Recipient, message: Message, time_limit_s: float = TIME_LIMIT_S) -> str:
    """Send a message; say why it was not taken, or nothing when it was. Shows no URL.

    Raises OSError when no process can be started.
    """
    try:
        done = subprocess.run(
            (sys.executable, "-m", "notify.delivery"),
            input=json.dumps({"url": recipient.url, **asdict(message)}),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=time_limit_s,
            check=False,
            text=True,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {time_limit_s:g} s"
    if done.returncode == 0:
        return ""
    if done.returncode == _NOT_TAKEN and done.stdout:
        return f"HTTP {done.stdout}" if done.stdout.isdigit() else "refused, or not reached"
    return f"the sending process ended with {done.returncode}"


class _Statuses(logging.Handler):
    """Keeps the HTTP statuses of which apprise logs, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note the status, if one is told."""
        self.seen += _STATUS.findall(record.getMessage())


def _send(wanted: dict[str, Any]) -> int:
    from apprise import Apprise, NotifyType  # noqa: PLC0415 - an extra, and slow to import

    statuses = _Statuses()
    logger = logging.getLogger("apprise")
    logger.addHandler(statuses)
    logger.propagate = False
    apprise = Apprise()
    apprise.add(wanted["url"])
    kind = NotifyType(wanted["kind"])
    if apprise.notify(wanted["body"], wanted["title"], kind):
        return 0
    sys.stdout.write(statuses.seen[-1] if statuses.seen else "-")
    return _NOT_TAKEN


if __name__ == "__main__":
    sys.exit(_send(json.load(sys.stdin)))
