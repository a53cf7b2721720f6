"""Writing down what operators did: at the end of one stream, and never changed afterwards.

The oldest entries are cut off; the timeline of each order keeps what was done to it.
"""

from typing import Any

from redis import Redis

from pushes.read.audit import AuditEntry
from pushes.store import keys

# At about 200 bytes an entry, 4 MB: years of an operator's days.
_KEPT = 20_000


def append(redis: Redis, *entries: AuditEntry) -> None:
    """Write entries, in one round trip. Raises RedisError."""
    pipeline = redis.pipeline(transaction=False)
    for entry in entries:
        pipeline.xadd(keys.AUDIT, _encode(entry), maxlen=_KEPT, approximate=True)
    pipeline.execute()


def _encode(entry: AuditEntry) -> dict[Any, Any]:  # as redis-py types a stream's fields
    facts: dict[str, str | int | None] = {
        "by": entry.by,
        "action": entry.action,
        "account": entry.account,
        "result": str(entry.result),
        "why": entry.why,
        "orders": entry.orders,
        "refused": entry.refused or None,
        "order_id": entry.order_id,
        "detail": entry.detail,
    }
    return {name: fact for name, fact in facts.items() if fact is not None}
