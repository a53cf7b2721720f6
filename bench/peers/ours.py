"""Our own queue, by its front door."""

import os
from datetime import UTC, datetime

from pushes import queue
from pushes.connection import connect
from pushes.ledger import Ledger
from pushes.model import PushKey
from pushes.settings import DEFAULT_ACCOUNT

_ledger = Ledger(connect(os.environ["REDIS_URL"], timeout_s=5, retries=0))


def send(order_id: str) -> None:
    """Take one push in, as the web process does."""
    queue.accept(_ledger, PushKey(DEFAULT_ACCOUNT, order_id), datetime.now(UTC))
