"""Dead letters grouped by what they died of: reason, error code and account.

Each cause has an index of its own, so that nothing is counted one by one; the latest come first.
Changes nothing. Every function raises RedisError.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from redis import Redis
from typing_extensions import TypedDict

from pushes.model import Reason
from pushes.read import cursors
from pushes.read.cursors import Place
from pushes.read.search import listing
from pushes.read.views import instant
from pushes.store import codec, keys

# A cause with its set, as `keys.cause` names it.
_PREFIX = keys.dead_letters("", Reason.REJECTED).removesuffix(f":{Reason.REJECTED}")

# Where its account stands in the name of a cause, as a pattern of Lua.
_ACCOUNT_OF_CAUSE = f"^{_PREFIX.replace('-', '%-')}([^:]*):"

# So many names of causes are looked through for those of a code; an account has a few.
_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Cause:
    """What dead letters died of; without a code when no call of theirs failed."""

    account: str
    reason: Reason
    code: str | None

    @property
    def index(self) -> str:
        """Name the sorted set of these dead letters, by time of death."""
        return keys.cause(self.account, self.reason, self.code)


@dataclass(frozen=True, slots=True)
class CauseGroup:
    """The dead letters of one cause: how many there are, and when the first and last died."""

    cause: Cause
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class CausePage:
    """Causes, that of the latest death first, and where the next page begins, if there is one."""

    items: tuple[CauseGroup, ...]
    next_cursor: str | None


class CauseView(TypedDict):
    """One cause of death."""

    account: str
    reason: str
    error_code: str | None
    count: int
    first_at: str
    last_at: str
    next_step: str


def page(
    redis: Redis,
    takes: Callable[[Cause], bool] = lambda _cause: True,
    *,
    accounts: frozenset[str] | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> CausePage:
    """List one page of the causes that are wanted, of `accounts` only. Raises CursorError."""
    after = _read_cursor(cursor) if cursor else None
    source = listing.Source(
        [keys.CAUSES], backwards=True, accounts=accounts, account_pattern=_ACCOUNT_OF_CAUSE
    )
    found = listing.read_members(redis, source, after, limit=limit, wanted=_wanted(takes))
    pipeline = redis.pipeline(transaction=False)
    for _, member in found.places:
        pipeline.zcard(member)
        pipeline.zrange(member, 0, 0, withscores=True)
        pipeline.zrange(member, -1, -1, withscores=True)
    answers = iter(pipeline.execute())
    groups = [
        _group(member, next(answers), next(answers), next(answers)) for _, member in found.places
    ]
    following = f"{found.last[0]:.3f}:{found.last[1]}" if found.last else None
    return CausePage(tuple(group for group in groups if group), following)


def having(redis: Redis, code: str, takes: Callable[[Cause], bool]) -> list[Cause]:
    """List the causes with a code that are wanted, the latest first."""
    end = f":{code}".encode()
    every = cast(list[bytes], redis.zrange(keys.CAUSES, -_MOST, -1))
    raw = [member for member in every if member.endswith(end)]  # before each is taken apart
    found = [cause for member in reversed(raw) if (cause := parse(member.decode(errors="replace")))]
    return [cause for cause in found if takes(cause)]


def parse(index: str) -> Cause | None:
    """Read a cause from the name of its set; None for what is none."""
    if not index.startswith(_PREFIX):
        return None
    try:
        account, word, code = index.removeprefix(_PREFIX).split(":")
        reason = Reason.of(word)
    except ValueError:
        return None
    return Cause(account, reason, None if code == keys.NO_CODE else code) if code else None


def view(group: CauseGroup) -> CauseView:
    """Show one cause."""
    return {
        "account": group.cause.account,
        "reason": str(group.cause.reason),
        "error_code": group.cause.code,
        "count": group.count,
        "first_at": instant(group.first_at),
        "last_at": instant(group.last_at),
        "next_step": group.cause.reason.next_step,
    }


def _wanted(takes: Callable[[Cause], bool]) -> Callable[[str], bool]:
    def wanted(member: str) -> bool:
        cause = parse(member)
        return cause is not None and takes(cause)

    return wanted


def _group(
    index: str, count: int, first: list[tuple[bytes, float]], last: list[tuple[bytes, float]]
) -> CauseGroup | None:
    cause = parse(index)
    if cause is None or not first or not last:  # all of them have left
        return None
    (_, began), (_, ended) = first[0], last[0]
    return CauseGroup(cause, count, codec.moment(str(began)), codec.moment(str(ended)))


def _read_cursor(cursor: str) -> Place:
    score, _, member = cursor.partition(":")
    try:
        at = codec.moment(score).timestamp()
    except (ValueError, OverflowError):
        at = None
    if at is None or parse(member) is None:
        raise cursors.wrong(cursor) from None
    return at, member
