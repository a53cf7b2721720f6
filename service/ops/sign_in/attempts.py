"""Counting sign-in attempts, per name and per address, over all web processes."""

from hashlib import sha256

from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter
from redis import Redis

from pushes.store import keys

# More than a person mistypes, and few enough to guess nothing; an office shares an address.
_PER_NAME = RateLimitItemPerMinute(10, 5)
_PER_ADDRESS = RateLimitItemPerMinute(30, 5)


class Attempts:
    """Who tried how often in the last minutes. Raises RedisError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        storage = RedisStorage(
            "redis://",  # not connected to: the pool is ours
            connection_pool=redis.connection_pool,
            key_prefix=keys.SIGN_IN_ATTEMPTS,
        )
        self._limiter = FixedWindowRateLimiter(storage)

    def is_allowed(self, name: str, address: str) -> bool:
        """Count an attempt; say whether it may be made."""
        by_address = self._limiter.hit(_PER_ADDRESS, "address", _key(address))
        by_name = self._limiter.hit(_PER_NAME, "name", _key(name))
        return by_address and by_name

    def forget(self, name: str) -> None:
        """Begin to count anew for a name: it was its owner."""
        self._limiter.clear(_PER_NAME, "name", _key(name))


def _key(text: str) -> str:
    """Name what is counted; whatever was typed becomes no key of Redis as it is."""
    return sha256(text.encode()).hexdigest()[:32]
