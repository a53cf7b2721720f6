"""How much of its quota an account uses: its calls of the last minute, beside what is allowed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from redis import Redis
from typing_extensions import TypedDict

from pushes.read.overview import AccountStatusView
from pushes.read.unreadable import Unreadable
from pushes.store import keys
from pushes.store.counted import totals


@dataclass(frozen=True, slots=True)
class QuotaUsed:
    """Calls a second over the last whole minute, and how many the slots of the quota allow."""

    calls_per_s: float
    allowed_per_s: float

    @property
    def share(self) -> float:
        """Which part is used; 1 is all of it."""
        return self.calls_per_s / self.allowed_per_s


class QuotaUsedView(TypedDict):
    """The calls of the last whole minute, each second, of how many are allowed; 1 is all of it."""

    calls_per_s: float
    allowed_per_s: float
    share: float


class AccountAndQuotaView(AccountStatusView):
    """How an account is; `quota_used` is null while no worker serves it."""

    quota_used: QuotaUsedView | None


def read(
    redis: Redis, accounts: Iterable[str], now: datetime, unreadable: Unreadable
) -> dict[str, QuotaUsed]:
    """Read it for accounts; those that no worker serves are left out. Raises RedisError."""
    names = list(accounts)
    allowed = unreadable.ask(keys.SERVED, lambda: _allowed(redis, names), dict[str, float]())
    used = unreadable.ask(
        "the quota that was used", lambda: totals.quota_lately(redis, names, now), {}
    )
    return {name: QuotaUsed(used.get(name, 0) / 60, per_s) for name, per_s in allowed.items()}


def with_quota(
    accounts: Mapping[str, AccountStatusView], used: Mapping[str, QuotaUsed]
) -> dict[str, AccountAndQuotaView]:
    """Show accounts with what they use."""
    return {
        name: {**status, "quota_used": _view(used[name]) if name in used else None}
        for name, status in accounts.items()
    }


def _view(used: QuotaUsed) -> QuotaUsedView:
    return {
        "calls_per_s": round(used.calls_per_s, 3),
        "allowed_per_s": round(used.allowed_per_s, 3),
        "share": round(used.share, 4),
    }


def _allowed(redis: Redis, names: list[str]) -> dict[str, float]:
    """Read the slots a second of each account from what live workers say that they serve."""
    groups = cast(list[bytes], redis.zrange(keys.SERVED, 0, -1)) if names else []
    pipeline = redis.pipeline(transaction=False)
    for group in groups:
        pipeline.hmget(group, names)
    found: dict[str, float] = {}
    for shares in cast(list[list[bytes | None]], pipeline.execute()):
        found |= _per_s(dict(zip(names, shares, strict=True)))
    return found


def _per_s(shares: Mapping[str, bytes | None]) -> dict[str, float]:
    return {name: 1 / float(share.split()[0]) for name, share in shares.items() if share}
