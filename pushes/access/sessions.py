"""Who is signed in. A session stands in Redis and ends there: a stolen cookie opens nothing then.

A one-time link signs in once, without a password. Every function raises
redis.exceptions.RedisError when Redis does not answer.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import cast

from redis import Redis

from pushes.access import secret_words, users
from pushes.access.users import ConsoleUser
from pushes.store import keys

# A working day: nobody signs in twice a shift, and a forgotten tablet is closed the next morning.
LASTS = timedelta(hours=12)
LINK_LASTS = timedelta(minutes=15)


def begin(redis: Redis, user: ConsoleUser) -> str:
    """Begin a session; return its name, which only the browser keeps."""
    return _note(redis, keys.session, user, LASTS)


def find(redis: Redis, name: str) -> ConsoleUser | None:
    """Return whose session it is; None when it ended, or its user was removed or made anew."""
    return _read(redis, keys.session(secret_words.digest(name)))


def end(redis: Redis, name: str) -> None:
    """End a session."""
    redis.delete(keys.session(secret_words.digest(name)))


def make_link(redis: Redis, user: ConsoleUser) -> str:
    """Make the word of a one-time link for a user."""
    return _note(redis, keys.sign_in_link, user, LINK_LASTS)


def peek_link(redis: Redis, word: str) -> ConsoleUser | None:
    """Return whom a link signs in, without using it: mail scanners follow links, too."""
    return _read(redis, keys.sign_in_link(secret_words.digest(word)))


def use_link(redis: Redis, word: str) -> ConsoleUser | None:
    """Return whom a link signs in, once; None afterwards."""
    key = keys.sign_in_link(secret_words.digest(word))
    user = _read(redis, key)
    return user if redis.delete(key) else None


def signing_secret(redis: Redis) -> str:
    """Return what cookies are signed with: made once, the same for every web process."""
    redis.set(keys.CONSOLE_SECRET, secret_words.new(), nx=True)
    return cast(bytes, redis.get(keys.CONSOLE_SECRET)).decode()


def _note(redis: Redis, name: Callable[[str], str], user: ConsoleUser, lasts: timedelta) -> str:
    word = secret_words.new()
    facts = json.dumps({"user": user.principal.name, "generation": user.generation})
    redis.set(name(secret_words.digest(word)), facts, ex=lasts)
    return word


def _read(redis: Redis, key: str) -> ConsoleUser | None:
    raw = cast(bytes | None, redis.get(key))
    if raw is None:
        return None
    facts = json.loads(raw)
    user = users.find(redis, facts["user"])
    return user if user and user.generation == facts["generation"] else None
