"""The users of the console. Made in the terminal; there is no default one.

Passwords are hashed by argon2. A user without one signs in by a one-time link or through a proxy.
Every function raises redis.exceptions.RedisError when Redis does not answer.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import cast

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from redis import Redis

from pushes.access import secret_words
from pushes.access.grants import UNREADABLE, Grant
from pushes.access.principals import GrantView, Principal
from pushes.operate import audit
from pushes.read.audit import AuditEntry
from pushes.store import keys

# NIST SP 800-63B-4: 15 characters for a password alone; no rules about which.
SHORTEST_PASSWORD = 15
_LONGEST_PASSWORD = 1024


class PasswordError(ValueError):
    """A password that nobody should have."""


class UserExistsError(Exception):
    """There is a user of this name already."""


class UserView(GrantView):
    """A user; without a password it signs in by a one-time link, or through a proxy."""

    has_password: bool


@dataclass(frozen=True, slots=True)
class ConsoleUser:
    """One user. Sessions name its `generation`: they end when the user is made anew."""

    grant: Grant
    generation: str
    password_hash: str | None = None

    @property
    def principal(self) -> Principal:
        """Who it is."""
        return self.grant.principal

    def view(self) -> UserView:
        """Show it; never the password, nor its hash."""
        return {**self.grant.view(), "has_password": self.password_hash is not None}


def add(
    redis: Redis, principal: Principal, *, password: str | None, by: str, now: datetime
) -> ConsoleUser:
    """Make a user. Raises PasswordError and UserExistsError."""
    if redis.hexists(keys.USERS, principal.name):
        raise UserExistsError(principal.name)
    hashed = None if password is None else _hasher().hash(check_password(password))
    user = ConsoleUser(Grant(principal, now, by), secret_words.new(), hashed)
    redis.hset(
        keys.USERS,
        principal.name,
        user.grant.encode(generation=user.generation, password_hash=hashed),
    )
    audit.append(redis, AuditEntry(by, "user add", None, why=str(principal)))
    return user


def remove(redis: Redis, name: str, *, by: str) -> bool:
    """Take a user away, and with it its sessions; say whether there was one."""
    was_there = bool(redis.hdel(keys.USERS, name))
    if was_there:
        audit.append(redis, AuditEntry(by, "user remove", None, why=name))
    return was_there


def find(redis: Redis, name: str) -> ConsoleUser | None:
    """Return the user of this name; None for nobody, and for one that cannot be read."""
    raw = cast(bytes | None, redis.hget(keys.USERS, name))
    return next(_decode([raw]), None) if raw else None


def everybody(redis: Redis) -> list[ConsoleUser]:
    """List the users by name."""
    raw = cast(dict[bytes, bytes], redis.hgetall(keys.USERS))
    return sorted(_decode(list(raw.values())), key=lambda user: user.principal.name)


def are_there_any(redis: Redis) -> bool:
    """Whether anybody was made yet."""
    return bool(redis.exists(keys.USERS))


def authenticate(redis: Redis, name: str, password: str) -> ConsoleUser | None:
    """Return the user whose password it is. Takes the same time whether or not there is one."""
    user = find(redis, name)
    hashed = user.password_hash if user else None
    try:
        _hasher().verify(hashed or _nobodys_hash(), password[:_LONGEST_PASSWORD])
    except (VerificationError, InvalidHashError):
        return None
    return user if hashed else None


def check_password(password: str) -> str:
    """Return `password`. Raises PasswordError when it is too short or too long."""
    if not SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
        raise PasswordError(
            f"the password has {len(password)} characters; use {SHORTEST_PASSWORD} to"
            f" {_LONGEST_PASSWORD}, such as a few words"
        )
    return password


def _decode(rows: list[bytes]) -> Iterator[ConsoleUser]:
    for row in rows:
        with contextlib.suppress(*UNREADABLE):
            grant, facts = Grant.decode(row)
            yield ConsoleUser(grant, str(facts["generation"]), facts.get("password_hash"))


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobodys_hash() -> str:
    return _hasher().hash(secret_words.new())
