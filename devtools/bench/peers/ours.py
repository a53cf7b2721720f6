"""Our own queue, by its front door."""

import os
from datetime import UTC, datetime

from pushes.accounts.settings import DEFAULT_ACCOUNT
from pushes.model import PushKey
from pushes.store.connection import connect
from pushes.store.ledger import Ledger

_ledger = Ledger(connect(os.environ["REDIS_URL"], timeout_s=5, retries=0))


def send(order_id: str) -> None:
    """Take one push in, as the web process does."""
    _ledger.accept(PushKey(DEFAULT_ACCOUNT, order_id), datetime.now(UTC))
