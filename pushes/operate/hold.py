"""Pausing an account at an operator's word, and serving it again. Who and why is audited.

The hold itself says both while it lasts, and so does the timeline of each order that waits for it.
"""

from redis import Redis

from pushes.accounts.holds import Holds, Resumed
from pushes.model import HoldReason
from pushes.operate import audit
from pushes.read.audit import AuditEntry


def pause(redis: Redis, account: str, *, by: str, why: str) -> None:
    """Hold an account until an operator resumes it, whatever holds it now. Raises RedisError."""
    Holds(redis).begin(account, HoldReason.OPERATOR, why, by)
    audit.append(redis, AuditEntry(by, "pause", account, why=why))


def resume(redis: Redis, account: str, *, by: str, why: str | None) -> Resumed:
    """Serve an account again, whatever holds or pauses it; return what was ended.

    Raises RedisError.
    """
    ended = Holds(redis).resume(account, by=by, why=why)
    if ended.hold or ended.pause:
        audit.append(redis, AuditEntry(by, "resume", account, why=why))
    return ended
