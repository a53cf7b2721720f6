"""What would wake somebody: what the program logs, and what its messages would tell."""

import sys
import traceback
from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from devtools.simulation import program
from devtools.simulation.clock import VirtualClock
from notify import troubles
from notify.troubles import TroubleKind
from pushes.read import overview
from pushes.read.search import causes
from pushes.store.ledger import Ledger
from pushes.store.server import durability

# Often enough to meet whatever lasts longer than a retry or two; seldom enough for a week.
_LOOKS_EVERY_S = 300.0

_CAUSES = 100

# Simulated workers send no heartbeat, and the append-only file of their Redis is off.
_OF_PROCESSES = frozenset(
    {TroubleKind.NO_WORKER_TAKES_ORDERS, TroubleKind.SUSPENDED, TroubleKind.REDIS_DOES_NOT_PERSIST}
)


class Alarms:
    """Counts warnings and errors by their event; prints the tracebacks of faults."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()

    @property
    def raised(self) -> int:
        """How often an operator would have been woken."""
        return sum(self.events[event] for event in program.ALARMS)

    @property
    def faults(self) -> dict[str, int]:
        """What the program did wrong by its own account."""
        found = {event: self.events[event] for event in sorted(program.FAULTS)}
        return {event: number for event, number in found.items() if number}

    def note(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
        """Count one event and keep it from being written. A processor of structlog."""
        self.events[event["event"]] += 1
        if isinstance(failure := event.get("exc_info"), BaseException):
            traceback.print_exception(failure, file=sys.stderr)
        raise structlog.DropEvent


class Lookout:
    """Looks again and again what messages would tell, as `notify.notifier` does.

    It has none of its patience: what is wrong at a single look counts.
    """

    def __init__(self, ledger: Ledger, clock: VirtualClock) -> None:
        self._ledger = ledger
        self._clock = clock
        self.looks = 0
        self.seen: Counter[str] = Counter()

    def start(self) -> None:
        """Look now, and from now on."""
        self._look()
        self._clock.call_at(self._clock.monotonic() + _LOOKS_EVERY_S, self.start)

    def _look(self) -> None:
        seen = overview.read(self._ledger, self._clock.now(), in_detail=False)
        server = durability.facts_of(self._ledger.redis.info())
        causes_of_death = causes.page(self._ledger.redis, limit=_CAUSES).items
        found = [*troubles.going_on(seen, server), *troubles.left_over(seen, causes_of_death)]
        self.seen.update(one.name for one in found if one.kind not in _OF_PROCESSES)
        self.looks += 1


@contextmanager
def listening() -> Iterator[Alarms]:
    """Hear all that is logged from warning on, and let nothing of it be written meanwhile."""
    alarms = Alarms()
    before = structlog.get_config()
    processors = before["processors"]
    kept = list(processors)
    # In place, as structlog's own `capture_logs` does it: loggers that are in use keep the list.
    processors[:] = [alarms.note]
    structlog.configure(
        processors=processors, wrapper_class=structlog.make_filtering_bound_logger("warning")
    )
    try:
        yield alarms
    finally:
        processors[:] = kept
        structlog.configure(**before)
