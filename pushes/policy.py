"""The numbers behind the judgement: how long to wait, how often to try, what counts as long ago.

Pure. Decides about delays only; what a failure means is `worker.failures`, what a state change
does is `pushes.life`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta

from pushes.model import Lane

# A repeated push expedites a retry that has waited this long: less than Klarna's shortest gap of 5
# minutes, and long enough that forged repeats force no more than one attempt in this time.
EXPEDITED_AFTER = timedelta(minutes=4)

# A push for an order acknowledged this recently was under way when we acknowledged. One that
# comes later means that Klarna did not hear us, so the order is acknowledged again.
ALREADY_ACKNOWLEDGED = timedelta(minutes=5)

# An order that Klarna did not know this recently is not looked for again: repeats of a forged push
# cost nothing, and Klarna's next push of a real one comes later.
UNKNOWN_REMEMBERED = timedelta(minutes=5)

# Acknowledged records answer "did we?" for as long as orders are commonly disputed or captured.
RETENTION = timedelta(days=30)

# The timeline of a settled push is kept for as long as somebody may still look into it; afterwards
# its record answers "did we, when, and with which correlation id?".
TIMELINE_KEPT = timedelta(days=1)

# After the first death of its worker an order is attempted alone, in a process that does nothing
# else; after two deaths of such a process it is what kills them.
MAX_CRASHES = 3

# How long after each death: at once after the first, which most likely was not its own. The pause
# after the second is longer than a row of kills that happens to hit the same order again.
ALONE_AFTER = (timedelta(0), timedelta(seconds=60))

# Klarna keeps an idempotency key for 24 hours (Klarna docs, "Idempotency").
IDEMPOTENCY_WINDOW = timedelta(hours=24)

# A discard may be undone for a day: longer than the night in which somebody notices the mistake.
UNDONE_WITHIN = timedelta(days=1)

# Enough for 48 hours of pushes and attempts; bounds what one order can cost in memory.
MAX_TIMELINE_ENTRIES = 50

# Repeats of a push closer together than this are counted but get no line of their own.
PUSHES_NOTED_APART = timedelta(minutes=1)

# A held account is served again in steps, and no more waits in the queue than is served in this
# time: what waits longer waits in the order of its deadlines.
RELEASED_AHEAD = timedelta(seconds=2)

# Whose turn it is when an account's quota is scarce and several lanes wait; a turn that its lane
# does not need goes to the others. Fresh pushes come first, since there are few of them unless
# something is wrong; what waited has enough to be drained, whatever is pushed meanwhile.
TURNS = (
    *(Lane.FRESH, Lane.BACKLOG, Lane.FRESH, Lane.FRESH, Lane.BACKLOG),
    *(Lane.FRESH, Lane.BACKLOG, Lane.FRESH, Lane.BACKLOG, Lane.UNKNOWN),
)

# What Klarna does not know may take this much of the quota, even when nothing else waits: the
# shop's own calls share the quota with us, and a forger must not use it up.
UNKNOWN_SHARE = 0.2

# A network that is no published one is trusted once it has pushed so many real orders, more than a
# buyer who pushes his own. A made-up order costs it as much as several real ones earned, and no
# network has more to lose than the most.
PROVEN_BY_ORDERS = 20
MADE_UP_COSTS = 4
PROVEN_AT_MOST = 100

# What is known of the sources of an account is forgotten when none of its orders was real so long.
PROVEN_FOR = timedelta(days=30)

# So many pushes from unverified sources may wait for an account; what comes beyond that is
# answered 503, and Klarna sends it again. At 2 kB each, this bounds what a flood can
# cost in memory.
MAX_UNKNOWN_WAITING = 20_000

# So many pushes of one network stand in the fresh lane, seconds of work; what comes beyond waits
# with what waited before, so that a burst from one network never delays the pushes of another.
FRESH_OF_A_NETWORK = 200

# So many pushes of one network may wait for an account, trusted or not, unless its address is one
# that is trusted from the start: Klarna's own backlog of hours, and 100 MB.
MAX_WAITING_OF_A_NETWORK = 50_000

# So many dead letters of an account may be orders that Klarna does not know; the oldest are cut,
# counted and logged.
MAX_UNKNOWN_DEAD = 10_000

# So many pushes of an account with a wrong token in an hour: hardly somebody who mistyped a test.
# Klarna pushes one order four times in its first hour.
WRONG_TOKENS_IN_AN_HOUR = 5

# So many orders in a row that Klarna does not know: probably the wrong region or account.
SUSPICIOUS_UNKNOWN = 20

# So often an order alone may be answered 429 before that spends attempts: Klarna limits merchants,
# not orders, and a shop that uses up the quota by itself may hit the same order again by chance.
LIMITED_FREELY = 3

# So many failures in a row, of so many orders, are Klarna's trouble and not the orders'.
OUTAGE_AFTER_FAILURES = 10
_OUTAGE_ORDERS = 3

# A worker whose clock is further from Redis's takes no work. Leases last 15 s and are renewed every
# 5 s: two workers as far apart as this allows, one ahead and one behind, still leave them time.
CLOCK_SLACK = timedelta(seconds=4)

# The last attempt before the deadline is made this long before it: room for its two calls of at
# most 15 s each, for a queue in front of it, and for clocks that differ.
LAST_ATTEMPT_BEFORE = timedelta(minutes=2)

# How far apart an order is looked at whose fraud check is pending: 60 looks in 48 hours.
_SHORTEST_LOOK = timedelta(minutes=1)
_LONGEST_LOOK = timedelta(hours=1)

# Many orders fail together in an outage; the spread keeps them from coming back together.
_JITTER = 0.2


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait after the first, second, … failure. Seconds; past the last: give up."""

    delays_s: tuple[float, ...] = (5, 30, 300, 1800, 7200, 18000)
    not_found_delays_s: tuple[float, ...] = (5, 30, 120, 300, 900)


def delay_after(
    failures: int, delays_s: tuple[float, ...], random: Callable[[], float]
) -> timedelta | None:
    """Say how long to wait when `failures` attempts have failed before, or None: give up.

    `random` returns 0 to 1 and spreads the delay by ±20 %.
    """
    if failures >= len(delays_s):
        return None
    return timedelta(seconds=delays_s[failures] * (1 - _JITTER + 2 * _JITTER * random()))


def pending_delay(waited: timedelta) -> timedelta:
    """Say how long to wait before another look at an order whose fraud check is pending.

    `waited` is how long it has been known. Klarna decides within 24 hours (Klarna docs, "Fraud
    status"), mostly much sooner: a tenth of the time waited is hardly felt by the shop.
    """
    return min(max(waited / 10, _SHORTEST_LOOK), _LONGEST_LOOK)


def is_outage(failures: Collection[int], after: int) -> bool:
    """Say whether failures in a row, counted by order, show an outage rather than a bad order."""
    return sum(failures) >= after and len(failures) >= min(_OUTAGE_ORDERS, after)


def within(delay: timedelta, left: timedelta) -> timedelta:
    """Shorten a delay that would jump past the deadline, `left` from now, to shortly before it.

    Once less than `LAST_ATTEMPT_BEFORE` is left that attempt has been made, and delays are what
    they are: an order can still be acknowledged after its deadline.
    """
    last = left - LAST_ATTEMPT_BEFORE
    return min(delay, last) if last > timedelta(0) else delay
