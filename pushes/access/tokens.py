"""Bearer tokens of the JSON API: shown once, kept as a digest, revocable, with their last use.

Every function raises redis.exceptions.RedisError when Redis does not answer.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from redis import Redis

from pushes.access import secret_words
from pushes.access.grants import UNREADABLE, Grant
from pushes.access.principals import GrantView, Principal
from pushes.operate import audit
from pushes.read.audit import AuditEntry
from pushes.read.views import optional
from pushes.store import codec, keys

# What the tokens begin with, so that a scanner of repositories and people recognise one.
PREFIX = "kack_"

# The last use is written no more often than this: a dashboard polls each second.
_USE_NOTED_APART = timedelta(minutes=1)


class TokenExistsError(Exception):
    """There is a token of this name already."""


class TokenView(GrantView):
    """A token without its secret; `last_used_at` is exact to a minute."""

    last_used_at: str | None


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What is kept of one token."""

    grant: Grant
    digest: str
    last_used_at: datetime | None = None

    @property
    def principal(self) -> Principal:
        """Who it is."""
        return self.grant.principal

    def view(self) -> TokenView:
        """Show it; never the secret."""
        return {**self.grant.view(), "last_used_at": optional(self.last_used_at)}


def add(redis: Redis, principal: Principal, *, by: str, now: datetime) -> str:
    """Make a token and return it: it cannot be read again. Raises TokenExistsError."""
    if any(token.principal.name == principal.name for token in everyone(redis)):
        raise TokenExistsError(principal.name)
    token = f"{PREFIX}{secret_words.new()}"
    redis.hset(keys.TOKENS, secret_words.digest(token), Grant(principal, now, by).encode())
    audit.append(redis, AuditEntry(by, "token add", None, why=str(principal)))
    return token


def remove(redis: Redis, name: str, *, by: str) -> bool:
    """Revoke a token: it is refused from now on. Say whether there was one."""
    digests = [token.digest for token in everyone(redis) if token.principal.name == name]
    for digest in digests:
        redis.hdel(keys.TOKENS, digest)
        redis.hdel(keys.TOKENS_USED, digest)
    if digests:
        audit.append(redis, AuditEntry(by, "token remove", None, why=name))
    return bool(digests)


def everyone(redis: Redis) -> list[ApiToken]:
    """List the tokens by name."""
    raw = cast(dict[bytes, bytes], redis.hgetall(keys.TOKENS))
    used = cast(dict[bytes, bytes], redis.hgetall(keys.TOKENS_USED))
    return sorted(_decode(raw, used), key=lambda token: token.principal.name)


def authenticate(redis: Redis, token: str, now: datetime) -> Principal | None:
    """Return whose token it is, and note the use; None for a token that is none."""
    digest = secret_words.digest(token)
    raw = cast(bytes | None, redis.hget(keys.TOKENS, digest))
    if raw is None:
        return None
    used = cast(bytes | None, redis.hget(keys.TOKENS_USED, digest))
    found = next(_decode({digest.encode(): raw}, {digest.encode(): used} if used else {}), None)
    if found is None:
        return None
    if found.last_used_at is None or now - found.last_used_at >= _USE_NOTED_APART:
        redis.hset(keys.TOKENS_USED, digest, codec.epoch(now))
    return found.principal


def _decode(raw: dict[bytes, bytes], used: dict[bytes, bytes]) -> Iterator[ApiToken]:
    for digest, row in raw.items():
        with contextlib.suppress(*UNREADABLE):
            grant, _ = Grant.decode(row)
            at = used.get(digest)
            yield ApiToken(grant, digest.decode(), codec.moment(at.decode()) if at else None)
