"""Listens to what the program logs: the alarms that would wake somebody, and its own faults."""

import sys
import traceback
from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from devtools.simulation import program


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
