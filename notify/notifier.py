"""Tells one recipient, again and again: what is wrong, and what is over.

Every worker does it, and `klarna-ack notify watch`; a lease in Redis lets one of them look each
minute. What was told is remembered in Redis once it was taken: a message that is not is sent again.
"""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import cast

from pydantic import TypeAdapter, ValidationError
from redis import Redis

from notify import delivery, digest, messages, troubles
from notify.memory import Memory, Told, ToTell, plan
from notify.messages import Message
from notify.recipients import Recipient
from pushes import log
from pushes.read import overview
from pushes.read.search import causes
from pushes.store import keys
from pushes.store.ledger import Ledger
from pushes.store.server import durability

_log = log.get(__name__)

# One process looks at a time, for this long: three times as long as a message may take.
LEASE = timedelta(seconds=60)

# The lease is looked at oftener than it lapses, so that each minute has its look.
EVERY_S = 10

# What was told is forgotten when nobody has looked for so long: a URL that was taken away.
_REMEMBERED = timedelta(days=7)

# A digest that nobody took for so long is left out: the next one comes soon.
_DIGEST_LATE = timedelta(hours=6)

# So many causes of dead letters are read. With more, none counts as over.
_CAUSES = 1000

_TOLD = TypeAdapter(Told)

Deliver = Callable[[Recipient, Message], str]


class Notifier:
    """What one process does for one recipient."""

    def __init__(
        self,
        ledger: Ledger,
        recipient: Recipient,
        deliver: Deliver = delivery.deliver,
        digest_at: time | None = None,
    ) -> None:
        self._ledger = ledger
        self._recipient = recipient
        self._deliver = deliver
        self._digest_at = digest_at
        self._told_error = ""

    @property
    def name(self) -> str:
        """Name it among the tasks of a process."""
        number = self._recipient.number
        return "notify" if number == 1 else f"notify-{number}"

    def scan(self, now: datetime) -> None:
        """Look, unless another process has in this minute, and tell what is to be told.

        Raises RedisError, and OSError when no message can be sent from here.
        """
        redis, recipient = self._ledger.redis, self._recipient
        if not redis.set(keys.notify_lease(recipient.key), "1", nx=True, ex=LEASE):
            return
        place = keys.notify_told(recipient.key)
        before = _read(redis, place)
        planned = self._plan(before, now)
        remembered = planned.kept
        if planned.says_something and self._send(messages.compose(planned, now)):
            remembered = planned.told
            _log_told(recipient, planned)
        _write(redis, place, before, remembered)
        self._send_digest(now)

    def _send_digest(self, now: datetime) -> None:
        """Send the digest of the day, unless it was; one that is too late is left out."""
        if self._digest_at is None:
            return
        due_at = datetime.combine(now.date(), self._digest_at, UTC)
        due_at -= timedelta(days=due_at > now)
        place = keys.notify_digest(self._recipient.key)
        told = cast(bytes | None, self._ledger.redis.get(place))
        is_due = now - due_at < _DIGEST_LATE and told != str(due_at.date()).encode()
        if is_due and self._send(digest.compose(self._ledger, now)):
            self._ledger.redis.set(place, str(due_at.date()), ex=_REMEMBERED)
            _log.info("notify.digest_sent", recipient=str(self._recipient))

    def _plan(self, before: Memory, now: datetime) -> ToTell:
        redis = self._ledger.redis
        seen = overview.read(self._ledger, now, in_detail=False)
        page = causes.page(redis, limit=_CAUSES)
        found = [
            *troubles.going_on(seen, durability.facts_of(redis.info())),
            *troubles.left_over(seen, page.items),
        ]
        is_whole = not seen.unreadable and page.next_cursor is None
        return plan(found, before, now, is_whole=is_whole)

    def _send(self, message: Message) -> bool:
        """Send it; log when one is not taken for the first time."""
        error = self._deliver(self._recipient, message)
        if error and error != self._told_error:
            _log.warning(
                "notify.not_taken",
                recipient=str(self._recipient),
                error=error,
                meaning="somebody does not know what is wrong; it is sent again each minute",
                action="`klarna-ack notify test` tries it; look at the URL and at that service",
            )
        self._told_error = error
        return not error


def _log_told(recipient: Recipient, told: ToTell) -> None:
    _log.info(
        "notify.told",
        recipient=str(recipient),
        wrong=[trouble.name for trouble in told.there],
        over=len(told.over),
    )


def _read(redis: Redis, place: str) -> Memory:
    raw = cast(dict[bytes, bytes], redis.hgetall(place))
    return {name.decode(): told for name, text in raw.items() if (told := _decode(text))}


def _write(redis: Redis, place: str, before: Memory, after: Memory) -> None:
    pipeline = redis.pipeline(transaction=False)
    for name, told in after.items():
        if told != before.get(name):
            pipeline.hset(place, name, _TOLD.dump_json(told).decode())
    if gone := [name for name in before if name not in after]:
        pipeline.hdel(place, *gone)
    pipeline.expire(place, _REMEMBERED)
    pipeline.execute()


def _decode(text: bytes) -> Told | None:
    """Read what was told; None for what no version of this program wrote."""
    try:
        return _TOLD.validate_json(text)
    except ValidationError:
        return None
